//! The reference provider.
use crate::*;
use async_trait::async_trait;
/// The reference provider.
pub struct MockProvider;
impl MockProvider {
    /// Opens it.
    pub async fn open(_: &MockConfig) -> Result<Self, BuildError> {
        todo!()
    }
}
#[async_trait]
impl ReadProvider for MockProvider {
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
impl Provider for MockProvider {
    async fn swap(&self, _: &Zone, _: &[Swap]) -> Result<Receipt, Fault> {
        todo!()
    }
    async fn settled(&self, _: &Receipt) -> Result<Settled, Fault> {
        todo!()
    }
}
