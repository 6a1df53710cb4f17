//! nginx, for HTTP/2 and gRPC of somebody else's making.

use std::path::Path;

use crate::script::Script;

/// An nginx with `/healthz` (200, `state: ok, request N of its connection`), `/down` (503) and `/moved` (302).
pub struct Nginx(Script);

impl Nginx {
    /// Its certificate is for this name.
    pub const NAME: &'static str = "www.example.test";

    /// Starts one with the settings listed at the head of `tests/servers/nginx.sh` (`NGINX_REQUESTS` ...).
    pub fn start_with(settings: &[(&str, &str)]) -> Nginx {
        Nginx(Script::start("nginx.sh", settings))
    }

    /// Where it speaks HTTP/1.1.
    pub fn http1(&self) -> u16 {
        self.0.port("NGINX_PORT")
    }

    /// Where it speaks HTTP/2 without TLS, and nothing else.
    pub fn http2(&self) -> u16 {
        self.0.port("NGINX_H2_PORT")
    }

    /// Where it speaks both, with TLS.
    pub fn tls(&self) -> u16 {
        self.0.port("NGINX_TLS_PORT")
    }

    /// Where it speaks HTTP/1.1 with TLS, and nothing else.
    pub fn tls_http1(&self) -> u16 {
        self.0.port("NGINX_TLS1_PORT")
    }

    /// Its certificate, which is its own authority.
    pub fn certificate(&self) -> &Path {
        Path::new(self.0.var("NGINX_CERT"))
    }

    /// Stops it.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}
