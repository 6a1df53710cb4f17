//! A server that repeats what it was sent, as helpful servers do when something is wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Listens on every address of this machine until the test process ends.
///
/// An HTTP request is answered with the status that its path begins with (`/404/x`; 500 for other paths) and with its own
/// lines, the last header first; with its first line first when `/line/` is in the path. A redirect leads to the path itself.
/// Whatever is no HTTP is repeated line by line, and the connection closed.
pub(super) fn start() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(&stream)));
        }
    });
    port
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if lines.is_empty() && !line.contains(" HTTP/1.") {
            return out.write_all(format!("you said {line}").as_bytes());
        }
        lines.push(line.trim_end().to_owned());
    }
    let Some(first) = lines.first().cloned() else { return Ok(()) };
    let length =
        lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut content = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut content)?;
    let path = first.split(' ').nth(1).unwrap_or("/");
    let status: u16 = path.split('/').nth(1).and_then(|status| status.parse().ok()).unwrap_or(500);
    if !path.contains("/line/") {
        lines.reverse();
    }
    let body = [lines.join("\n").as_bytes(), b"\n\n", &content].concat();
    let head = format!(
        "HTTP/1.1 {status} {first}\r\nLocation: {path}\r\nX-Request: {first}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    out.write_all(head.as_bytes())?;
    out.write_all(&body)
}
