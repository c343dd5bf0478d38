// SPDX-License-Identifier: Apache-2.0
//! What other programs answer: systemd over D-Bus, CRIU over its socket.

use insula_criu::Response;
use insula_dbus::Message;

/// Any bytes are an answer or none. What is shown of one is text.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(message) = Message::decode(bytes) {
        for value in &message.body {
            assert!(value.signature().len() <= 255, "{value}");
            assert!(value.to_string().len() <= 32 * bytes.len().max(4), "{value}");
        }
    }
    if let Ok(response) = Response::decode(bytes) {
        assert!(response.message.is_none_or(|text| text.len() <= 3 * bytes.len()));
    }
}
