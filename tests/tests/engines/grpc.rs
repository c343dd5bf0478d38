// SPDX-License-Identifier: Apache-2.0
//! One gRPC call over a Unix socket, as the kubelet makes them: a connection, a request, an answer.
//! Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), gRPC's PROTOCOL-HTTP2.md.

use insula_tests::patience;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The only stream of a connection.
const STREAM: u32 = 1;

/// Frame types (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Frame flags; what the first means depends on the type.
const END_STREAM_OR_ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Calls `method` (`/package.Service/Method`) of the server that listens at `socket`; returns the answer's message.
///
/// # Errors
/// When the connection breaks; `Unsupported` when the server answers without a message, which is how it refuses.
pub(crate) fn call(socket: &Path, method: &str, request: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience()))?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    write(&mut stream, SETTINGS, 0, 0, &[])?;
    write(&mut stream, HEADERS, END_HEADERS, STREAM, &headers(method))?;
    let length = u32::try_from(request.len()).expect("requests are short");
    // Not compressed.
    let body = [&[0], &length.to_be_bytes()[..], request].concat();
    write(&mut stream, DATA, END_STREAM_OR_ACK, STREAM, &body)?;

    let mut answer = Vec::new();
    loop {
        let (kind, flags, payload) = read(&mut stream)?;
        match kind {
            DATA => answer.extend_from_slice(&payload),
            SETTINGS | PING if flags & END_STREAM_OR_ACK == 0 => {
                let echo = if kind == PING { &payload[..] } else { &[] };
                write(&mut stream, kind, END_STREAM_OR_ACK, 0, echo)?;
            }
            RST_STREAM | GOAWAY => return Err(Error::other(format!("{method}: the server gives up: {payload:?}"))),
            _ => {}
        }
        if (kind == DATA || kind == HEADERS) && flags & END_STREAM_OR_ACK != 0 {
            break;
        }
    }
    // Its status is in compressed trailers; that no message came says enough, and the server's log says why.
    match answer.get(5..) {
        Some(message) => Ok(message.to_vec()),
        None => Err(Error::new(ErrorKind::Unsupported, format!("{method} is refused"))),
    }
}

/// A header block whose fields are all spelled out: literals without indexing, without Huffman's code.
fn headers(method: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "lengths that fit into one byte");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn write(stream: &mut UnixStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<(), Error> {
    assert!(payload.len() <= 16_384, "what a server must accept");
    let length = payload.len() as u32;
    let head = [&length.to_be_bytes()[1..], &[kind, flags], &id.to_be_bytes()].concat();
    stream.write_all(&[&head, payload].concat())
}

fn read(stream: &mut UnixStream) -> Result<(u8, u8, Vec<u8>), Error> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload)?;
    Ok((head[3], head[4], payload))
}
