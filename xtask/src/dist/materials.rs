// SPDX-License-Identifier: Apache-2.0
//! The bill of materials: which packages are linked into the program, from cargo's own knowledge, as SPDX 2.3.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::Release;
use crate::shell::{cargo, output, program};

/// The programs of the release; the second is inside the first.
const ROOTS: [&str; 2] = ["insula", "insula-init"];

/// The document.
pub(super) fn document(checkout: &Path, release: &Release, executable: &Path) -> Result<String, String> {
    // Only what this target's conditions let in.
    let platform = format!("{}-unknown-linux-gnu", super::ARCHITECTURE);
    let mut command = cargo(["metadata", "--format-version=1", "--locked", "--filter-platform", &platform]);
    let text = output(command.current_dir(checkout))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let lock = checkout.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let created = output(program("date").args(["-u", "-d"]).arg(format!("@{}", release.time)).arg("+%FT%TZ"))?;
    let sum = output(program("sha256sum").arg(executable))?;
    let linked = linked(&metadata);
    let packages: Vec<Value> = linked.iter().map(|id| package(&metadata, id, &lock)).collect();
    let roots = linked.iter().filter(|id| name(&metadata, id) == ROOTS[0]).map(|id| reference(&metadata, id));
    let mut relationships: Vec<Value> =
        roots.map(|root| relationship("SPDXRef-DOCUMENT", "DESCRIBES", &root)).collect();
    let source = format!("SPDXRef-Package-insula-{}", release.version);
    relationships.push(relationship("SPDXRef-File-insula", "GENERATED_FROM", &source));
    for id in &linked {
        let from = reference(&metadata, id);
        let needs = needs(&metadata, id);
        let known = needs.iter().filter(|other| linked.contains(*other));
        relationships.extend(known.map(|other| relationship(&from, "STATIC_LINK", &reference(&metadata, other))));
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": release.name(),
        "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{}", release.name(), release.commit),
        "creationInfo": { "created": created.trim(), "creators": ["Tool: cargo-xtask-dist"] },
        "packages": packages,
        "files": [{
            "SPDXID": "SPDXRef-File-insula",
            "fileName": "./insula",
            "checksums": [
                { "algorithm": "SHA256", "checksumValue": sum.split(' ').next().unwrap_or_default() },
                { "algorithm": "SHA1", "checksumValue": sha1(executable)? },
            ],
            "licenseConcluded": "NOASSERTION",
            "copyrightText": "NOASSERTION",
        }],
        "relationships": relationships,
    });
    Ok(format!("{document:#}\n"))
}

fn sha1(path: &Path) -> Result<String, String> {
    Ok(output(program("sha1sum").arg(path))?.split(' ').next().unwrap_or_default().into())
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// The ids of all packages that are linked: what the programs need, and what that needs, but not what only builds or
/// tests it.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = packages(metadata)
        .filter(|package| ROOTS.iter().any(|root| package["name"] == *root))
        .map(|package| text(&package["id"]))
        .collect();
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(needs(metadata, &id));
        }
    }
    found.retain(|id| !is_macro(metadata, id));
    found
}

/// What is linked with a package.
fn needs(metadata: &Value, id: &str) -> Vec<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let dependencies = nodes.filter(|node| node["id"] == id).filter_map(|node| node["deps"].as_array()).flatten();
    dependencies
        .filter(|dependency| {
            let kinds = dependency["dep_kinds"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        })
        .map(|dependency| text(&dependency["pkg"]))
        .filter(|other| !is_macro(metadata, other))
        .collect()
}

/// A macro runs in the compiler and is not linked.
fn is_macro(metadata: &Value, id: &str) -> bool {
    let targets = packages(metadata).filter(|package| package["id"] == id).filter_map(|p| p["targets"].as_array());
    targets.flatten().filter_map(|target| target["kind"].as_array()).flatten().any(|kind| kind == "proc-macro")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name(metadata: &Value, id: &str) -> String {
    packages(metadata).find(|package| package["id"] == id).map(|package| text(&package["name"])).unwrap_or_default()
}

/// The identifier within the document: letters, digits, dots and dashes.
fn reference(metadata: &Value, id: &str) -> String {
    let package = packages(metadata).find(|package| package["id"] == id).unwrap_or(&Value::Null);
    let raw = format!("{}-{}", text(&package["name"]), text(&package["version"]));
    format!("SPDXRef-Package-{}", raw.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"))
}

fn package(metadata: &Value, id: &str, lock: &str) -> Value {
    let package = packages(metadata).find(|package| package["id"] == id).unwrap_or(&Value::Null);
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    let mut described = json!({
        "SPDXID": reference(metadata, id),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        // Cargo's older way to say OR.
        "licenseDeclared": text(&package["license"]).replace('/', " OR "),
        "copyrightText": "NOASSERTION",
    });
    if package["source"].is_string() {
        described["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:cargo/{name}@{version}"),
        }]);
    }
    if let Some(sum) = checksum(lock, &name, &version) {
        described["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": sum }]);
    }
    described
}

/// The checksum that Cargo.lock has of a package of the registry.
fn checksum<'a>(lock: &'a str, name: &str, version: &str) -> Option<&'a str> {
    let entry = lock.split("[[package]]").find(|entry| {
        entry.contains(&format!("\nname = \"{name}\"\n")) && entry.contains(&format!("\nversion = \"{version}\"\n"))
    })?;
    entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    fn materials() -> Value {
        let release = Release { version: "0.1.0", commit: "0".repeat(40), time: "0".into() };
        let text = document(root(), &release, Path::new("/bin/sh")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_linked_is_listed_and_nothing_else() {
        let document = materials();
        let names: Vec<&str> =
            document["packages"].as_array().unwrap().iter().filter_map(|package| package["name"].as_str()).collect();
        for linked in ["insula", "insula-init", "insula-sys", "rustix", "serde_json", "bitflags", "linux-raw-sys"] {
            assert!(names.contains(&linked), "{linked} is not in {names:?}");
        }
        for absent in ["xtask", "insula-tests", "serde_derive", "syn", "nix", "libc"] {
            assert!(!names.contains(&absent), "{absent} is in {names:?}");
        }
    }

    #[test]
    fn every_package_has_a_licence_and_foreign_ones_a_checksum() {
        for package in materials()["packages"].as_array().unwrap() {
            assert!(!package["licenseDeclared"].as_str().unwrap().is_empty(), "{package}");
            assert!(!package["licenseDeclared"].as_str().unwrap().contains('/'), "{package}");
            assert_eq!(package["externalRefs"].is_array(), package["checksums"].is_array(), "{package}");
        }
    }

    #[test]
    fn relationships_name_what_is_there() {
        let document = materials();
        let mut known = vec!["SPDXRef-DOCUMENT", "SPDXRef-File-insula"];
        known.extend(document["packages"].as_array().unwrap().iter().filter_map(|package| package["SPDXID"].as_str()));
        let relationships = document["relationships"].as_array().unwrap();
        assert!(relationships.len() > known.len() / 2);
        for relationship in relationships {
            for end in ["spdxElementId", "relatedSpdxElement"] {
                assert!(known.contains(&relationship[end].as_str().unwrap()), "{relationship}");
            }
        }
    }
}
