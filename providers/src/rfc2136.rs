//! DNS UPDATE.
use crate::*;
use async_trait::async_trait;
/// DNS UPDATE.
pub struct Rfc2136Provider;
impl Rfc2136Provider {
    /// Opens it.
    pub fn new(_: &Rfc2136Config) -> Result<Self, BuildError> {
        todo!()
    }
}
#[async_trait]
impl ReadProvider for Rfc2136Provider {
    fn capabilities(&self) -> Capabilities {
        todo!()
    }
    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        wish
    }
    async fn zone(&self, _: &DomainName) -> Result<Zone, Fault> {
        todo!()
    }
    async fn read(&self, _: &Zone, _: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        todo!()
    }
}
#[async_trait]
impl Provider for Rfc2136Provider {
    async fn swap(&self, _: &Zone, _: &[Swap]) -> Result<Receipt, Fault> {
        todo!()
    }
    async fn settled(&self, _: &Receipt) -> Result<Settled, Fault> {
        todo!()
    }
}
