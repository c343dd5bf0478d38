// SPDX-License-Identifier: Apache-2.0
//! The graph in the language of Mermaid, which GitHub and GitLab draw in Markdown.

use alloc::string::String;
use core::fmt::Write;

use super::dot::{container_label, other_label, shared_label};
use super::graph::{Graph, Shared};
use crate::survey::Survey;

/// The survey as a Mermaid flow chart: containers as boxes, the namespaces that several of them use or that they have
/// from the host as rounded ones between them, and namespaces of no container at the edge.
pub fn mermaid(survey: &Survey) -> String {
    let graph = Graph::new(survey);
    let mut text = String::from("flowchart LR\n");
    for (number, group) in graph.groups.iter().enumerate() {
        let framed = group.nodes.len() > 1;
        if framed {
            push!(text, "  subgraph g{number} [\" \"]\n");
        }
        for node in &group.nodes {
            push!(text, "  c{node}[\"{}\"]\n", escaped(&container_label(&graph, *node, "\n")));
        }
        for shared in &group.shared {
            push_shared(&mut text, &graph, &graph.shared[*shared], "---");
        }
        if framed {
            text += "  end\n";
        }
    }
    for host in &graph.host {
        push_shared(&mut text, &graph, host, "-.-");
    }
    for other in &graph.others {
        push!(text, "  n{other}([\"{}\"])\n", escaped(&other_label(survey, *other, "\n")));
    }
    text
}

fn push_shared(text: &mut String, graph: &Graph<'_>, shared: &Shared, link: &str) {
    let Shared { entry, users } = shared;
    push!(*text, "  n{entry}([\"{}\"])\n", escaped(&shared_label(graph, *entry, "\n")));
    for user in users {
        push!(*text, "  c{user} {link} n{entry}\n");
    }
}

/// `text` for a quoted string: Mermaid has no backslash escapes but knows entities by number, written with `#`.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("<br/>"),
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' => write!(safe, "#{};", c as u32).unwrap_or_default(),
            c => safe.push(c),
        }
    }
    safe
}
