// SPDX-License-Identifier: Apache-2.0
use super::super::made_up::{bare_host, random, small};
use super::scene::Shape;
use super::*;

fn overlap(a: Area, b: Area) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

fn within(inner: Area, outer: Area) -> bool {
    inner.x >= outer.x
        && inner.y >= outer.y
        && inner.x + inner.w <= outer.x + outer.w
        && inner.y + inner.h <= outer.y + outer.h
}

fn disjoint(areas: &[Area]) {
    for (at, a) in areas.iter().enumerate() {
        for b in &areas[at + 1..] {
            assert!(!overlap(*a, *b), "{a:?} {b:?}");
        }
    }
}

/// Checks that nothing covers anything it should not.
fn check(scene: &Scene) {
    let page = Area { x: 0, y: 0, w: scene.w, h: scene.h };
    let boxes = |of: &[&str]| -> Vec<Area> {
        let wanted = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Box { area, class, .. } if of.contains(class) => Some(*area),
            _ => None,
        });
        wanted.collect()
    };
    let texts: Vec<Area> = scene
        .shapes
        .iter()
        .filter_map(|shape| if let Shape::Text { area, .. } = shape { Some(*area) } else { None })
        .collect();
    let (frames, containers) = (boxes(&["frame"]), boxes(&["container"]));
    let chips = boxes(&["private", "shared", "host", "unknown"]);
    for areas in [&frames, &containers, &chips, &texts] {
        disjoint(areas);
    }
    for area in frames.iter().chain(&containers).chain(&chips).chain(&texts) {
        assert!(within(*area, page), "{area:?} outside {page:?}");
    }
    for inner in containers.iter().chain(&chips).chain(&texts) {
        for outer in frames.iter().chain(&containers).chain(&chips) {
            let nested = within(*inner, *outer) || within(*outer, *inner);
            assert!(nested || !overlap(*inner, *outer), "{inner:?} crosses {outer:?}");
        }
    }
    for shape in &scene.shapes {
        let drawn = match shape {
            Shape::Line { from, to, .. } => {
                Area { x: from.0 - 1, y: from.1 - 1, w: to.0 - from.0 + 2, h: to.1 - from.1 + 2 }
            }
            Shape::Dot { at, .. } => Area { x: at.0 - 4, y: at.1 - 4, w: 8, h: 8 },
            _ => continue,
        };
        assert!(texts.iter().all(|text| !overlap(*text, drawn)), "text below {shape:?}");
        assert!(frames.iter().any(|frame| within(drawn, *frame)), "{shape:?} outside all frames");
    }
}

#[test]
fn nothing_overlaps() {
    check(&draw(&Graph::new(&bare_host())));
    check(&draw(&Graph::new(&small())));
    for seed in 0..40 {
        check(&draw(&Graph::new(&random(seed as usize, seed))));
    }
}

#[test]
fn nothing_overlaps_among_many() {
    check(&draw(&Graph::new(&random(150, 7))));
}

#[test]
fn a_pod_is_one_frame_with_a_line_for_each_shared_namespace() {
    let survey = small();
    let scene = draw(&Graph::new(&survey));
    let count = |of: &str| {
        let class = |shape: &&Shape| match shape {
            Shape::Box { class, .. } | Shape::Line { class, .. } | Shape::Dot { class, .. } => *class == of,
            Shape::Text { .. } => false,
        };
        scene.shapes.iter().filter(class).count()
    };
    assert_eq!(count("frame"), 1);
    assert_eq!(count("container"), 4);
    assert_eq!(count("rail"), 3);
    assert_eq!(count("joint"), 6, "two containers, three namespaces");
    // One in the legend, three in each of the two containers.
    assert_eq!(count("shared"), 7);
    assert_eq!(count("host"), 2);
    let texts: Vec<&str> = scene
        .shapes
        .iter()
        .filter_map(|shape| if let Shape::Text { text, .. } = shape { Some(text.as_str()) } else { None })
        .collect();
    for text in ["2 containers share network, ipc, uts", "web", "db", "net:[4026532022]"] {
        assert!(texts.contains(&text), "{text} in {texts:?}");
    }
}

#[test]
fn cut_names_are_whole_in_their_title() {
    let mut survey = small();
    let long = "long-name-".repeat(12);
    survey.containers[0].name = Some(long.clone());
    let svg = svg(&survey);
    assert!(svg.contains(&format!("<title>{long}</title>long-name-")));
    assert!(svg.contains("…</text>"));
}

#[test]
fn kinds_fit_into_their_chips() {
    for kind in Kind::all() {
        assert!(width(kind.namespace().spec_name, SMALL - 1) <= CHIP - 4, "{kind}");
    }
    let longest = crate::Identity { kind: Kind::CGROUP, dev: 4, ino: u64::from(u32::MAX), id: None }.to_string();
    assert!(width(&longest, SMALL) <= LABEL - CHIP_GAP);
}

#[test]
fn the_document_is_well_formed_and_knows_dark() {
    let svg = svg(&random(20, 5));
    assert!(svg.contains("prefers-color-scheme:dark"));
    let opened = ["<rect ", "<text ", "<title>", "<style>"].map(|tag| svg.matches(tag).count());
    let closed = ["</rect>", "</text>", "</title>", "</style>"].map(|tag| svg.matches(tag).count());
    assert_eq!(opened[0], closed[0] + 1, "the page itself is an empty element");
    assert_eq!(opened[1..], closed[1..]);
    assert!(!svg.contains("<&"), "names are escaped");
}
