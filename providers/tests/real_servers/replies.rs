//! Replies of an HTTP provider that are none, to readings and to writes: endless, a proxy's error page, cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use failover_providers::powerdns::PowerDnsProvider;
use failover_providers::{Fault, PowerDnsConfig, Provider, ReadProvider, Swap};
use testkit::ZONE;
use tokio::io::AsyncWriteExt;

use crate::fake;
use crate::http::LISTING;
use crate::update::{a, answer, read, zone};

const WWW: &str = "www.example.test";
const PAGE: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";

/// What a server sends in answer to some requests.
#[derive(Clone)]
enum Reply {
    Text(String),
    /// So many megabytes, with their length or in chunks.
    Endless {
        chunked: bool,
    },
}

fn text(status: &str, body: &str) -> Reply {
    Reply::Text(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// A provider whose server lists its zone as it should, unless the request begins with `spoiled`; and how many
/// megabytes of an endless reply went through.
async fn provider(spoiled: &'static str, reply: Reply) -> (PowerDnsProvider, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let address = fake::listen(move |mut stream| {
        let (reply, counted) = (reply.clone(), Arc::clone(&counted));
        async move {
            let request = fake::request(&mut stream).await?;
            let good = text("200 OK", LISTING);
            let reply = if request.starts_with(spoiled.as_bytes()) { reply } else { good };
            match reply {
                Reply::Text(text) => stream.write_all(text.as_bytes()).await?,
                Reply::Endless { chunked } => {
                    let how = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 52428800" };
                    stream.write_all(format!("HTTP/1.1 200 OK\r\n{how}\r\n\r\n").as_bytes()).await?;
                    let megabyte = vec![b' '; 1 << 20];
                    for _ in 0..50 {
                        if chunked {
                            stream.write_all(b"100000\r\n").await?;
                        }
                        stream.write_all(&megabyte).await?;
                        if chunked {
                            stream.write_all(b"\r\n").await?;
                        }
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
            stream.shutdown().await
        }
    })
    .await;
    let config = PowerDnsConfig {
        url: format!("http://{address}").parse().expect("a URL"),
        server_id: "localhost".into(),
        api_key: "k".to_owned().into(),
        timeout: Duration::from_secs(20),
    };
    (PowerDnsProvider::new(&config).expect("the settings are right"), sent)
}

/// Each with what it is called in a failure.
fn replies() -> [(&'static str, Reply); 6] {
    let half = &LISTING[..LISTING.len() / 2];
    let longer = LISTING.len();
    [
        ("50 MB", Reply::Endless { chunked: false }),
        ("50 MB in chunks", Reply::Endless { chunked: true }),
        ("a page with 200", text("200 OK", PAGE)),
        ("a page with 502", text("502 Bad Gateway", PAGE)),
        ("half a JSON", text("200 OK", half)),
        ("cut off", Reply::Text(format!("HTTP/1.1 200 OK\r\nContent-Length: {longer}\r\n\r\n{half}"))),
    ]
}

/// bad day: provider: `PowerDNS` answers a reading with 50 MB, a proxy's page or half a JSON | tried again; read to a limit
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_is_answered_with_nonsense_is_no_reading() {
    for (name, reply) in replies() {
        let (provider, sent) = provider("GET", reply).await;
        let result = provider.read(&zone(ZONE), &[WWW.parse().expect("a name")]).await;
        let short = matches!(&result, Err(Fault::Unavailable(why) | Fault::Busy(why)) if why.len() < 1000);
        assert!(short, "{name}: {result:?}");
        let sent = sent.load(Ordering::SeqCst);
        // Beside what is read there is what the sockets hold.
        assert!(sent < 30, "{name}: {sent} MB went through");
    }
}

/// bad day: provider: `PowerDNS` answers a write with 50 MB, a proxy's page or half a JSON | the record is read again first
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_answered_with_nonsense_may_have_been_made() {
    for (name, reply) in replies() {
        let (provider, sent) = provider("PATCH", reply).await;
        let swap = Swap::new(read(&provider, WWW).await, answer([a(60, "192.0.2.2")]));
        let result = provider.swap(&zone(ZONE), &[swap]).await;
        assert!(matches!(&result, Err(Fault::Unknown(why)) if why.len() < 1000), "{name}: {result:?}");
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent < 30, "{name}: {sent} MB went through");
    }
}
