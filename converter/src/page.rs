//! What every page shares, the trainer's too: its shell, its style sheet, its boxes, and how names and numbers are written.
//!
//! Pages are markup of [`maud::html!`], which escapes whatever is put into it; [`Page::around`] is the only way from markup to
//! a file, and shows what would hide in a name or turn the direction of writing. A page is one file that refers to no other.

use escarp_media::visible_lines;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

pub mod chart;
pub mod dag;
pub mod viridis;

/// The look of all pages, light and dark.
const STYLE: &str = include_str!("page/style.css");

/// What a page is, besides its contents.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its heading; may come from anybody's file.
    pub title: &'a str,
    /// Behind the title in the browser's tab.
    pub tab: &'static str,
    /// Above the heading.
    pub brand: &'static str,
    /// Style sheets beside the one of all pages.
    pub styles: &'static [&'static str],
}

impl Page<'_> {
    /// The file.
    pub fn around(&self, contents: &Markup) -> String {
        let styles = [STYLE].into_iter().chain(self.styles.iter().copied());
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { (self.title) " · " (self.tab) }
                    // The only text that is not escaped: constants of this program, in which `&gt;` would be no CSS.
                    style { @for style in styles { (PreEscaped(style)) } }
                }
                body {
                    main {
                        header { p.brand { "escarp · " (self.brand) } h1 { (self.title) } }
                        (contents)
                    }
                }
            }
        };
        // Tags hold no character that hides: what is shown here stood in a name.
        format!("{}\n", visible_lines(page.into_string()))
    }
}

/// A part of the page with its heading.
pub fn section(heading: impl Render, contents: impl Render) -> Markup {
    html! { section { h2 { (heading) } (contents) } }
}

/// What is wider than a phone: it is moved sideways inside this box, the page never is.
pub fn wide(contents: impl Render) -> Markup {
    html! { div.scroll { (contents) } }
}

/// A figure in large digits.
pub fn card(title: &str, value: impl Render, detail: impl Render) -> Markup {
    html! { div.card { h2 { (title) } b { (value) } p { (detail) } } }
}

/// `12,345`
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// So many hundredths, with so many digits behind the point: `76.44 %`
pub fn percent(hundredths: f64, digits: usize) -> String {
    format!("{hundredths:.digits$} %")
}

/// At most `most` characters: the end of a long name tells layers apart.
pub fn short(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most { name.into() } else { format!("…{}", name.chars().skip(count - most + 1).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!((percent(100.0 / 3.0, 2), percent(50.0, 0)), ("33.33 %".into(), "50 %".into()));
        assert_eq!((short("abc", 3), short("größe", 4)), ("abc".into(), "…öße".into()));
    }

    #[test]
    fn whatever_stands_in_a_name_is_shown() {
        let name = "<script>&\"\u{1b}[2J\u{202e}";
        let page = Page { title: name, tab: "t", brand: "b", styles: &["a>b{}"] };
        let contents = section(name, wide(html! { p title=(name) { (name) } }));
        let page = page.around(&contents);
        let shown = r"&lt;script&gt;&amp;&quot;\u{1b}[2J\u{202e}";
        assert_eq!(page.matches(shown).count(), 5, "{page}");
        assert!(
            !page.contains("<script") && !page.contains(['\u{1b}', '\u{202e}']) && page.contains("a>b{}"),
            "{page}"
        );
    }

    /// On a phone only these boxes are moved sideways, never the page; a name without a space breaks anywhere.
    #[test]
    fn wide_things_move_inside_their_own_box() {
        for rule in ["\n.scroll{overflow-x:auto;", "\nbody{margin:0;overflow-wrap:anywhere;"] {
            assert!(STYLE.contains(rule), "{rule}");
        }
    }
}
