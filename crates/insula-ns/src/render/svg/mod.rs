// SPDX-License-Identifier: Apache-2.0
//! The graph as a drawing: each container a box with its eight kinds, each group of connected containers in a frame,
//! the namespaces they share as lines below them with a dot for every container that is connected.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::graph::{Graph, Group, Node, Shared, Use};
use super::{container_labels, count, kept_by, plain};
use crate::kind::Kind;
use crate::survey::Survey;
use scene::{Area, Scene, line_height};
use width::width;

mod scene;
mod width;

/// Width of the whole drawing.
const PAGE: i32 = 1296;
const MARGIN: i32 = 24;
const GAP: i32 = 16;
/// A container's box.
const BOX: i32 = 236;
const PADDING: i32 = 12;
const NAME: i32 = 14;
const SMALL: i32 = 11;
/// The eight kinds in a container's box, in rows of four.
const CHIP: i32 = 48;
const CHIP_H: i32 = 18;
const CHIP_GAP: i32 = 6;
const PER_ROW: usize = 4;
const BOX_H: i32 = 2 * PADDING + 42 + 2 * CHIP_H + CHIP_GAP;
/// Distance of the lines of shared namespaces.
const RAIL: i32 = 24;
/// Room for the label of a line, left of the first connection.
const LABEL: i32 = 128;
/// Containers in one row of a frame.
const COLUMNS: usize = 4;

const STYLE: &str = "\
text{font-family:\"DejaVu Sans\",\"Liberation Sans\",\"Segoe UI\",Helvetica,Arial,sans-serif;fill:#1f2328}\
.page{fill:#fff}.muted{fill:#59636e}\
.frame{fill:#f6f8fa;stroke:#d1d9e0}.container{fill:#fff;stroke:#818b98}\
.private{fill:#dafbe1;stroke:#1a7f37}.shared{fill:#0969da;stroke:#0969da}text.on-shared{fill:#fff}\
.host{fill:#fff8c5;stroke:#9a6700;stroke-dasharray:3 2}.unknown{fill:none;stroke:#d1d9e0}\
line.rail,line.drop{stroke:#0969da;stroke-width:2}circle.joint{fill:#0969da}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.page{fill:#0d1117}.muted{fill:#9198a1}\
.frame{fill:#151b23;stroke:#3d444d}.container{fill:#0d1117;stroke:#656c76}\
.private{fill:#12261e;stroke:#3fb950}.shared{fill:#4493f8;stroke:#4493f8}text.on-shared{fill:#0d1117}\
.host{fill:#272115;stroke:#d29922}.unknown{stroke:#3d444d}\
line.rail,line.drop{stroke:#4493f8}circle.joint{fill:#4493f8}}";

/// The survey as an SVG drawing, for light and dark surroundings. Texts that are cut have all of it as their title.
pub fn svg(survey: &Survey) -> String {
    let graph = Graph::new(survey);
    draw(&graph).svg(STYLE, &heading(&graph))
}

fn heading(graph: &Graph<'_>) -> String {
    format!(
        "{} in {}, {}",
        count(graph.nodes.len(), "container", "containers"),
        count(graph.groups.len(), "group", "groups"),
        count(graph.survey.namespaces.len(), "namespace", "namespaces")
    )
}

fn draw(graph: &Graph<'_>) -> Scene {
    let mut scene = Scene { w: PAGE, ..Scene::default() };
    let mut y = MARGIN;
    scene.text((MARGIN, y), PAGE - 2 * MARGIN, NAME, "heading", &heading(graph));
    y += line_height(NAME) + GAP;
    legend(&mut scene, y);
    y += CHIP_H + GAP;
    y = draw_groups(&mut scene, graph, y);
    y = draw_list(&mut scene, y, "From the host", graph.host.iter().map(|shared| host_line(graph, shared)));
    y = draw_list(&mut scene, y, "Of no container", graph.others.iter().map(|index| other_line(graph.survey, *index)));
    scene.h = y + MARGIN - GAP;
    scene.shrink(MARGIN);
    scene
}

const LOOKS: [(Use, &str, &str, &str); 4] = [
    (Use::Private, "private", "on-private", "its own"),
    (Use::Shared, "shared", "on-shared", "shared with other containers"),
    (Use::Host, "host", "on-host", "the host's"),
    (Use::Unknown, "unknown", "muted", "not known"),
];

/// Class of a chip, class of its text, and its meaning.
fn look(how: Use) -> (&'static str, &'static str, &'static str) {
    let (_, class, text, meaning) = LOOKS.iter().find(|(one, ..)| *one == how).unwrap_or(&LOOKS[3]);
    (class, text, meaning)
}

fn legend(scene: &mut Scene, y: i32) {
    let mut x = MARGIN;
    for (_, class, _, meaning) in LOOKS {
        scene.area(Area { x, y, w: CHIP_H, h: CHIP_H }, class, String::new());
        x += CHIP_H + CHIP_GAP;
        scene.text((x, y + (CHIP_H - line_height(SMALL)) / 2), PAGE - MARGIN - x, SMALL, "muted", meaning);
        x += width(meaning, SMALL) + GAP;
    }
}

/// Draws frames and single boxes from left to right in rows; where the next thing below can begin.
fn draw_groups(scene: &mut Scene, graph: &Graph<'_>, top: i32) -> i32 {
    let (mut x, mut y, mut row) = (MARGIN, top, 0);
    for group in &graph.groups {
        let plan = Plan::new(graph, group);
        let (w, h) = plan.size();
        if x > MARGIN && x + w > PAGE - MARGIN {
            (x, y, row) = (MARGIN, y + row + GAP, 0);
        }
        plan.draw(scene, graph, (x, y));
        x += w + GAP;
        row = row.max(h);
    }
    if row > 0 { y + row + GAP } else { top }
}

/// A group laid out: rows of containers, and below each the shared namespaces that its containers use.
struct Plan<'g> {
    group: &'g Group,
    rows: Vec<(&'g [usize], Vec<usize>)>,
}

impl<'g> Plan<'g> {
    fn new(graph: &Graph<'_>, group: &'g Group) -> Self {
        let rows = group.nodes.chunks(COLUMNS).map(|nodes| {
            let used = |shared: &&usize| graph.shared[**shared].users.iter().any(|user| nodes.contains(user));
            (nodes, group.shared.iter().filter(used).copied().collect())
        });
        Self { group, rows: rows.collect() }
    }

    fn framed(&self) -> bool {
        self.group.nodes.len() > 1
    }

    fn size(&self) -> (i32, i32) {
        if !self.framed() {
            return (BOX, BOX_H);
        }
        let columns = self.group.nodes.len().min(COLUMNS) as i32;
        let rows: i32 = self.rows.iter().map(|(_, rails)| row_height(rails.len())).sum();
        (columns * (BOX + GAP) + GAP, line_height(SMALL) + 2 * PADDING + rows)
    }

    fn draw(&self, scene: &mut Scene, graph: &Graph<'_>, (x, y): (i32, i32)) {
        if !self.framed() {
            draw_box(scene, &graph.nodes[self.group.nodes[0]], (x, y));
            return;
        }
        let (w, h) = self.size();
        let caption = self.caption(graph);
        scene.area(Area { x, y, w, h }, "frame", caption.clone());
        scene.text((x + GAP, y + PADDING), w - 2 * GAP, SMALL, "muted", &caption);
        let mut top = y + 2 * PADDING + line_height(SMALL);
        for (nodes, rails) in &self.rows {
            draw_rails(scene, graph, (x + GAP, top), nodes, rails);
            for (column, node) in nodes.iter().enumerate() {
                draw_box(scene, &graph.nodes[*node], (x + GAP + column as i32 * (BOX + GAP), top));
            }
            top += row_height(rails.len());
        }
    }

    fn caption(&self, graph: &Graph<'_>) -> String {
        let mut kinds: Vec<Kind> = Vec::new();
        for shared in &self.group.shared {
            let kind = graph.survey.namespaces[graph.shared[*shared].entry].identity.kind;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        format!("{} containers share {}", self.group.nodes.len(), kinds.join(", "))
    }
}

fn row_height(rails: usize) -> i32 {
    BOX_H + rails as i32 * RAIL + GAP
}

/// Draws the shared namespaces below a row of boxes: a line each, labelled at its left, with a line down from each
/// container that uses it, right of all labels.
fn draw_rails(scene: &mut Scene, graph: &Graph<'_>, (x, y): (i32, i32), nodes: &[usize], rails: &[usize]) {
    let bottom = y + BOX_H;
    let step = ((BOX - LABEL - 2 * PADDING) / (rails.len().max(2) as i32 - 1)).min(14);
    for (number, shared) in rails.iter().enumerate() {
        let Shared { entry, users } = &graph.shared[*shared];
        let entry = &graph.survey.namespaces[*entry];
        let rail = bottom + RAIL * number as i32 + RAIL / 2 + 2;
        let drop = LABEL + PADDING + step * number as i32;
        let label = entry.identity.to_string();
        scene.text((x, rail - line_height(SMALL) / 2), LABEL - CHIP_GAP, SMALL, "label", &label);
        let ends: Vec<i32> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| users.contains(node))
            .map(|(column, _)| x + column as i32 * (BOX + GAP) + drop)
            .collect();
        scene.line((x + LABEL, rail), (ends.iter().copied().max().unwrap_or(x + LABEL), rail), "rail");
        for end in ends {
            scene.line((end, bottom), (end, rail), "drop");
            scene.dot((end, rail), "joint");
        }
    }
}

fn draw_box(scene: &mut Scene, node: &Node<'_>, (x, y): (i32, i32)) {
    let container = node.container;
    let inner = BOX - 2 * PADDING;
    let processes = count(container.processes, "process", "processes");
    let about = format!("{}, pid {}, {processes}", container.engine, container.pid);
    scene.area(Area { x, y, w: BOX, h: BOX_H }, "container", format!("{about}, id {}", plain(&container.id)));
    scene.text((x + PADDING, y + PADDING), inner, NAME, "name", &plain(container.label()));
    let below = y + PADDING + line_height(NAME) + 3;
    scene.text((x + PADDING, below), inner, SMALL, "muted", &about);
    let chips = y + BOX_H - PADDING - 2 * CHIP_H - CHIP_GAP;
    for (kind, how) in node.uses.iter() {
        let (column, row) = ((kind.index() % PER_ROW) as i32, (kind.index() / PER_ROW) as i32);
        let area = Area {
            x: x + PADDING + column * (CHIP + CHIP_GAP),
            y: chips + row * (CHIP_H + CHIP_GAP),
            w: CHIP,
            h: CHIP_H,
        };
        let (class, text, meaning) = look(*how);
        let identity = container.namespaces[kind].map_or_else(String::new, |identity| format!(", {identity}"));
        scene.area(area, class, format!("{kind}: {meaning}{identity}"));
        scene.centred(area, SMALL - 1, text, kind.namespace().spec_name);
    }
}

/// Draws a heading and lines of text, if there are any; where the next thing below can begin.
fn draw_list(scene: &mut Scene, top: i32, heading: &str, lines: impl Iterator<Item = String>) -> i32 {
    let mut y = top;
    for (number, line) in lines.enumerate() {
        if number == 0 {
            scene.text((MARGIN, y), PAGE - 2 * MARGIN, NAME, "heading", heading);
            y += line_height(NAME) + CHIP_GAP;
        }
        scene.text((MARGIN, y), PAGE - 2 * MARGIN, SMALL, "line", &line);
        y += line_height(SMALL) + 3;
    }
    if y == top { top } else { y + GAP }
}

fn host_line(graph: &Graph<'_>, shared: &Shared) -> String {
    let entry = &graph.survey.namespaces[shared.entry];
    let users = count(shared.users.len(), "container", "containers");
    format!("{}  {users}: {}", entry.identity, container_labels(graph.survey, entry))
}

fn other_line(survey: &Survey, index: usize) -> String {
    let entry = &survey.namespaces[index];
    let mut line = format!("{}  {}", entry.identity, count(entry.pids.len(), "process", "processes"));
    for more in [plain(&entry.command), kept_by(survey, entry)] {
        if !more.is_empty() {
            line += ", ";
            line += &more;
        }
    }
    line
}

#[cfg(test)]
mod tests;
