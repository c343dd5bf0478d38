// SPDX-License-Identifier: Apache-2.0
//! What is drawn, as plain geometry that tests can check, and its SVG text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::width::{fit, width};

/// A rectangle in pixels, from its upper left corner.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Area {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

/// One thing to draw. `class` decides how it looks; `title` is shown when pointed at.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A rounded rectangle.
    Box { area: Area, class: &'static str, title: String },
    /// One line of text.
    Text { area: Area, size: i32, class: &'static str, text: String, title: String },
    /// A straight line, horizontal or vertical.
    Line { from: (i32, i32), to: (i32, i32), class: &'static str },
    /// A connection.
    Dot { at: (i32, i32), class: &'static str },
}

#[derive(Default, Debug)]
pub(super) struct Scene {
    pub(super) w: i32,
    pub(super) h: i32,
    pub(super) shapes: Vec<Shape>,
}

/// Height of a line of text at font size `size`, accents and descenders included.
pub(super) fn line_height(size: i32) -> i32 {
    size * 5 / 4
}

impl Scene {
    pub(super) fn area(&mut self, area: Area, class: &'static str, title: String) {
        self.shapes.push(Shape::Box { area, class, title });
    }

    pub(super) fn line(&mut self, from: (i32, i32), to: (i32, i32), class: &'static str) {
        self.shapes.push(Shape::Line { from, to, class });
    }

    pub(super) fn dot(&mut self, at: (i32, i32), class: &'static str) {
        self.shapes.push(Shape::Dot { at, class });
    }

    /// Text with its upper left corner at `(x, y)`, shortened to `most` pixels; if so, all of it is in the title.
    pub(super) fn text(&mut self, (x, y): (i32, i32), most: i32, size: i32, class: &'static str, text: &str) {
        let shown = fit(text, size, most);
        let title = if shown == text { String::new() } else { text.into() };
        let area = Area { x, y, w: width(&shown, size), h: line_height(size) };
        self.shapes.push(Shape::Text { area, size, class, text: shown, title });
    }

    /// Text in the middle of `inside`, which must be wide enough.
    pub(super) fn centred(&mut self, inside: Area, size: i32, class: &'static str, text: &str) {
        let shown = fit(text, size, inside.w);
        let (w, h) = (width(&shown, size), line_height(size));
        let area = Area { x: inside.x + (inside.w - w) / 2, y: inside.y + (inside.h - h) / 2, w, h };
        self.shapes.push(Shape::Text { area, size, class, text: shown, title: String::new() });
    }

    /// Takes away width that nothing uses, but for `margin`.
    pub(super) fn shrink(&mut self, margin: i32) {
        let right = self.shapes.iter().map(|shape| match shape {
            Shape::Box { area, .. } | Shape::Text { area, .. } => area.x + area.w,
            Shape::Line { from, to, .. } => from.0.max(to.0),
            Shape::Dot { at, .. } => at.0,
        });
        self.w = self.w.min(right.max().unwrap_or(0) + margin);
    }

    /// The SVG document, with `style` as its style sheet and `title` as what it is called.
    pub(super) fn svg(&self, style: &str, title: &str) -> String {
        let Self { w, h, shapes } = self;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             role=\"img\">\n<title>{}</title>\n<style>{style}</style>\n\
             <rect class=\"page\" width=\"{w}\" height=\"{h}\"/>\n",
            escaped(title)
        );
        for shape in shapes {
            push(&mut svg, shape).unwrap_or_default();
        }
        svg + "</svg>\n"
    }
}

fn push(svg: &mut String, shape: &Shape) -> core::fmt::Result {
    match shape {
        Shape::Box { area: Area { x, y, w, h }, class, title } => writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{}\">{}</rect>",
            (h / 6).min(8),
            title_element(title)
        ),
        Shape::Text { area, size, class, text, title } => writeln!(
            svg,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" font-size=\"{size}\">{}{}</text>",
            area.x,
            area.y + size,
            title_element(title),
            escaped(text)
        ),
        Shape::Line { from, to, class } => writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            from.0, from.1, to.0, to.1
        ),
        Shape::Dot { at: (x, y), class } => writeln!(svg, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"),
    }
}

fn title_element(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // Not even as references are these allowed in XML 1.0.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
