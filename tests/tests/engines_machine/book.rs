// SPDX-License-Identifier: Apache-2.0
//! docs/ as a book, by Debian's mdBook.

use crate::{needs_machine, ok};

/// Every page is in it, mdBook has nothing to complain of, and what a page leads to is there. Debian's package leaves out
/// a script and the fonts of mdBook's own.
#[test]
fn the_book_is_built_and_its_links_lead_somewhere() {
    needs_machine!();
    let missing = ok(
        r##"mdbook build --dest-dir /var/tmp/book /in/sources >mdbook.log 2>&1 || { cat mdbook.log; exit 1; }
        grep -E 'WARN|ERROR' mdbook.log || true
        cd book
        sed -n 's/.*(\(.*\)\.md).*/\1.html/p' /in/sources/docs/SUMMARY.md | while read -r page; do [ -e $page ] || echo no $page; done
        grep -oE '(href|src)="[^"#:]+["#]' *.html | sed 's/:[a-z]*="/ /; s/["#]$//' | sort -u | while read -r page target; do
            case $target in book.js | fonts/*) ;; *) [ -e "$target" ] || echo $page leads to $target ;; esac
        done"##,
    );
    assert_eq!(missing, "");
}
