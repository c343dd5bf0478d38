// SPDX-License-Identifier: Apache-2.0
//! One line for each namespace, in the manner of lsns(8).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{container_labels, cut, kept_by, plain, user};
use crate::survey::{Entry, Survey};

/// Longest command line and list of containers shown, in characters.
const LONGEST: usize = 60;

const HEADER: [&str; 9] = ["NS", "TYPE", "NPROCS", "PID", "USER", "OWNER", "CONTAINERS", "KEPT BY", "COMMAND"];

/// Whether a column holds numbers, which are put to the right.
const NUMBERS: [bool; 9] = [true, false, true, true, false, true, false, false, false];

/// The survey as a table: inode, type, number of processes, lowest process with its user, inode of the owning user
/// namespace, containers, what keeps the namespace beside processes, command line of the lowest process.
pub fn table(survey: &Survey) -> String {
    let rows: Vec<[String; 9]> = survey.namespaces.iter().map(|entry| row(survey, entry)).collect();
    let mut widths = HEADER.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    push_row(&mut text, HEADER, &widths);
    for row in &rows {
        push_row(&mut text, core::array::from_fn(|column| row[column].as_str()), &widths);
    }
    text
}

fn push_row(text: &mut String, cells: [&str; 9], widths: &[usize; 9]) {
    for (column, cell) in cells.iter().enumerate() {
        let padding = widths[column] - cell.chars().count();
        let (before, after) = if NUMBERS[column] { (padding, 0) } else { (0, padding) };
        text.extend(core::iter::repeat_n(' ', before));
        text.push_str(cell);
        text.extend(core::iter::repeat_n(' ', after + 1));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn row(survey: &Survey, entry: &Entry) -> [String; 9] {
    let dash = |text: String| if text.is_empty() { "-".into() } else { text };
    [
        entry.identity.ino.to_string(),
        entry.identity.kind.namespace().proc_name.into(),
        entry.pids.len().to_string(),
        entry.pids.first().map_or_else(|| "-".into(), ToString::to_string),
        entry.uid.map_or_else(|| "-".into(), |uid| user(survey, uid)),
        entry.owner.map_or_else(|| "-".into(), |owner| owner.ino.to_string()),
        dash(cut(&container_labels(survey, entry), LONGEST)),
        dash(cut(&kept_by(survey, entry), LONGEST)),
        dash(cut(&plain(&entry.command), LONGEST)),
    ]
}
