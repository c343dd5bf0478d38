// SPDX-License-Identifier: Apache-2.0
//! The graph in the language of Graphviz.

use alloc::format;
use alloc::string::String;

use super::graph::{Graph, Shared, Use};
use super::{count, kept_by, plain};
use crate::survey::Survey;

/// The survey as an undirected graph for Graphviz: containers as boxes, the namespaces that several of them use or that
/// they have from the host as ellipses between them, and namespaces of no container at the edge.
pub fn dot(survey: &Survey) -> String {
    let graph = Graph::new(survey);
    let mut text = String::from(
        "graph namespaces {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11];\n  edge [color=gray50];\n",
    );
    for (number, group) in graph.groups.iter().enumerate() {
        let framed = group.nodes.len() > 1;
        if framed {
            push!(text, "  subgraph cluster_{number} {{\n  style=rounded; color=gray50;\n");
        }
        for node in &group.nodes {
            let label = container_label(&graph, *node, "\n");
            push!(text, "  c{node} [shape=box, label=\"{}\"];\n", escaped(&label));
        }
        for shared in &group.shared {
            push_shared(&mut text, &graph, &graph.shared[*shared], "solid");
        }
        if framed {
            text += "  }\n";
        }
    }
    for host in &graph.host {
        push_shared(&mut text, &graph, host, "dashed");
    }
    for other in &graph.others {
        let label = other_label(survey, *other, "\n");
        push!(text, "  n{other} [shape=ellipse, style=dotted, label=\"{}\"];\n", escaped(&label));
    }
    text + "}\n"
}

fn push_shared(text: &mut String, graph: &Graph<'_>, shared: &Shared, style: &str) {
    let Shared { entry, users } = shared;
    let label = shared_label(graph, *entry, "\n");
    push!(*text, "  n{entry} [shape=ellipse, style={style}, label=\"{}\"];\n", escaped(&label));
    for user in users {
        push!(*text, "  c{user} -- n{entry} [style={style}];\n");
    }
}

/// Name, engine and own namespaces of a container, for the languages of graphs.
pub(super) fn container_label(graph: &Graph<'_>, node: usize, newline: &str) -> String {
    let node = &graph.nodes[node];
    let mut label = format!("{}{newline}{}", plain(node.container.label()), node.container.engine);
    let private = node.uses.iter().filter(|(_, one)| **one == Use::Private);
    for (at, (kind, _)) in private.enumerate() {
        label += if at == 0 { newline } else { " " };
        label += kind.namespace().spec_name;
    }
    label
}

/// Kind and identity of a namespace that connects containers.
pub(super) fn shared_label(graph: &Graph<'_>, entry: usize, newline: &str) -> String {
    let entry = &graph.survey.namespaces[entry];
    let host = if entry.own { "host " } else { "" };
    format!("{host}{}{newline}{}", entry.identity.kind.namespace().spec_name, entry.identity)
}

/// Identity, size and keeper of a namespace of no container.
pub(super) fn other_label(survey: &Survey, entry: usize, newline: &str) -> String {
    let entry = &survey.namespaces[entry];
    let keeper = kept_by(survey, entry);
    let keeper = if keeper.is_empty() { keeper } else { format!("{newline}{keeper}") };
    format!("{}{newline}{}{keeper}", entry.identity, count(entry.pids.len(), "process", "processes"))
}

/// `text` for a quoted string, where Graphviz gives backslashes a meaning.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
