// SPDX-License-Identifier: Apache-2.0
//! `insula ns graph --format svg`, looked at in a browser: Debian's chromium lays the drawing out with its own fonts and
//! says where everything came to lie, in light and in dark surroundings, and takes a picture.

use insula_tests::{Container, Lab, Value, is_insula, json, patience};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Left, top, right, bottom in pixels.
type Area = [f64; 4];

/// How much of two areas may lie over each other: rounding, not letters.
const SLACK: f64 = 1.0;

/// Pods of four and of six, one whose members share different things, one on the host's network, one alone.
fn containers(lab: &Lab) -> Vec<Container<'_>> {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).namespace("cgroup");
    let mut all: Vec<Container<'_>> = Vec::new();
    let mut make = |options: &[String]| {
        let container = lab.container(&bundle);
        let launch = container.launch("run").arg("--detach").args(options);
        container.finish(launch).assert_code(0);
        let id = container.id().to_owned();
        all.push(container);
        id
    };
    let shared = |kinds: &[&str], with: &str| -> Vec<String> {
        kinds.iter().flat_map(|kind| [format!("--{kind}"), format!("container:{with}")]).collect()
    };
    for members in [3, 5] {
        let first = make(&[]);
        let pod: Vec<String> = (0..members).map(|_| make(&shared(&["network", "ipc", "uts"], &first))).collect();
        if members == 5 {
            make(&[shared(&["pid"], &pod[0]), vec!["--network".to_owned(), "host".to_owned()]].concat());
        }
    }
    make(&[]);
    all
}

/// The drawing, in a page that measures itself.
fn page(lab: &Lab, svg: &str) -> PathBuf {
    let script = include_str!("measure.js");
    let head = "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>";
    lab.write(
        "drawing.html",
        format!("{head}<style>body{{margin:0}}pre{{display:none}}</style>{svg}<script>{script}</script>"),
    )
}

/// Runs chromium, or says why it cannot be run.
fn browser(lab: &Lab, dark: bool, words: &[String], page: &Path) -> String {
    let profile = lab.path(if dark { "profile-dark" } else { "profile-light" });
    let scheme = if dark { "--force-dark-mode" } else { "--disable-features=WebContentsForceDark" };
    let quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--hide-scrollbars",
        "--disable-crash-reporter",
    ];
    let output = lab
        .command("chromium")
        .env("HOME", lab.path("tmp"))
        .args(quiet)
        .arg(scheme)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(words)
        .arg(format!("file://{}", page.display()))
        .within(patience().max(Duration::from_secs(90)))
        .ok();
    fs::remove_dir_all(&profile).expect("remove the browser's profile");
    output.stdout
}

fn has_browser() -> bool {
    std::process::Command::new("chromium").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn area(of: &Value) -> Area {
    let number = |index: usize| of[index].as_f64().expect("a number");
    [number(0), number(1), number(2), number(3)]
}

fn overlap(a: Area, b: Area) -> bool {
    a[0] + SLACK < b[2] && b[0] + SLACK < a[2] && a[1] + SLACK < b[3] && b[1] + SLACK < a[3]
}

fn within(inner: Area, outer: Area) -> bool {
    inner[0] >= outer[0] - SLACK
        && inner[1] >= outer[1] - SLACK
        && inner[2] <= outer[2] + SLACK
        && inner[3] <= outer[3] + SLACK
}

fn size(of: Area) -> f64 {
    (of[2] - of[0]) * (of[3] - of[1])
}

/// Contrast of two colours as browsers write them, `rgb(9, 105, 218)` (WCAG 2.1, "contrast ratio").
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let inner = colour.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("a colour").0;
        let parts: Vec<f64> = inner.split(',').map(|part| part.trim().parse().expect("a number")).collect();
        let linear = |part: f64| {
            let part = part / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(parts[0]) + 0.7152 * linear(parts[1]) + 0.0722 * linear(parts[2])
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Everything is on the page, nothing lies over anything that it does not belong to, and every text can be read.
fn check(report: &Value) {
    let list = |name: &str| report[name].as_array().expect("a list").clone();
    let (texts, boxes, lines) = (list("texts"), list("boxes"), list("lines"));
    let page = area(&report["page"]);
    assert_eq!(report["page"], report["view"], "the drawing is scaled");
    for thing in texts.iter().chain(&boxes) {
        assert!(within(area(&thing["area"]), page), "{thing} is not on the page {page:?}");
    }
    for (index, text) in texts.iter().enumerate() {
        let place = area(&text["area"]);
        assert!(size(place) > 0.0, "{text} is empty");
        for other in &texts[index + 1..] {
            assert!(!overlap(place, area(&other["area"])), "{text} and {other}");
        }
        for line in &lines {
            assert!(!overlap(place, area(line)), "{text} and the line {line}");
        }
        // The smallest box that it touches is the one that it is written in.
        let touched = boxes.iter().filter(|one| one["fill"] != "none" && overlap(place, area(&one["area"])));
        let around = touched
            .min_by(|a, b| size(area(&a["area"])).total_cmp(&size(area(&b["area"]))))
            .unwrap_or_else(|| panic!("{text} is on nothing"));
        assert!(within(place, area(&around["area"])), "{text} runs out of {around}");
        let (ink, paper) = (text["fill"].as_str().unwrap(), around["fill"].as_str().unwrap());
        assert!(contrast(ink, paper) >= 4.5, "{text} on {around}: contrast {:.1}", contrast(ink, paper));
    }
    for (index, one) in boxes.iter().enumerate() {
        for other in &boxes[index + 1..] {
            let (a, b) = (area(&one["area"]), area(&other["area"]));
            assert!(!overlap(a, b) || within(a, b) || within(b, a), "{one} crosses {other}");
        }
    }
}

/// The colours of a screenshot with how often they occur, the most frequent first.
fn colours(lab: &Lab, picture: &Path) -> Vec<(String, u64)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drawing/pixels.py");
    let output = lab.command("python3").arg(script).arg(picture).within(Duration::from_mins(2)).ok();
    let rows = output.stdout.lines().filter_map(|line| line.split_once(' '));
    rows.map(|(name, count)| (name.to_owned(), count.parse().expect("a number"))).collect()
}

#[test]
fn a_browser_shows_it_light_and_dark_without_overlaps() {
    if !is_insula() {
        insula_tests::skip!("peers draw nothing");
    }
    if !has_browser() {
        insula_tests::skip!("chromium is not installed");
    }
    let lab = Lab::new();
    let containers = containers(&lab);
    let svg = lab.insula().args(["ns", "graph", "--format", "svg"]).ok().stdout;
    let html = page(&lab, &svg);
    let mut most = Vec::new();
    for dark in [false, true] {
        let dom = browser(&lab, dark, &["--dump-dom".to_owned()], &html);
        let report = dom.split_once("<pre id=\"report\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let report = insula_tests::parse_json(report.expect("the page measured itself").0);
        assert_eq!(report["dark"], json!(dark));
        check(&report);
        let texts: Vec<&str> =
            report["texts"].as_array().unwrap().iter().map(|text| text["text"].as_str().unwrap()).collect();
        for container in &containers {
            assert!(texts.contains(&container.id()), "{} is not written whole in {texts:?}", container.id());
        }
        let size = area(&report["page"]);
        let picture = lab.path(if dark { "dark.png" } else { "light.png" });
        let words =
            [format!("--window-size={:.0},{:.0}", size[2], size[3]), format!("--screenshot={}", picture.display())];
        browser(&lab, dark, &words, &html);
        if let Some(keep) = std::env::var_os("INSULA_PICTURES") {
            fs::copy(&picture, Path::new(&keep).join(picture.file_name().unwrap())).expect("keep the picture");
        }
        let colours = colours(&lab, &picture);
        assert!(colours.len() > 20, "hardly anything is drawn: {colours:?}");
        // Frames, boxes, lines: the style sheet's colours are there, on most of the picture its background.
        let wanted = if dark { ["0d1117", "4493f8", "f0f6fc"] } else { ["ffffff", "0969da", "1f2328"] };
        for colour in wanted {
            assert!(colours.iter().any(|(name, _)| name == colour), "no {colour} in {colours:?}");
        }
        assert_eq!(colours[0].0, wanted[0], "the page's background");
        most.push(colours[0].0.clone());
    }
    assert_ne!(most[0], most[1]);
}
