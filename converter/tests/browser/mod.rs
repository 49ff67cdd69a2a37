//! Pages on the screen of a phone, in a real browser.

use std::{path::Path, process::Command};

use escarp_media::Image;

/// Pixels: the narrowest phones.
const PHONE: u32 = 360;

/// What a page must be asked by the browser; `HASH` is where it is opened. Each is told as `NAME VALUE;`, and a script has no other way
/// to tell.
const SCRIPT: &str = "
    const page = f.contentDocument, told = [];
    const tell = (name, value) => told.push(name + ' ' + value + ';');
    tell('reaches', page.documentElement.scrollWidth);
    tell('letters', page.body.innerText.length);
    tell('height', Math.round(page.body.getBoundingClientRect().height));
    const link = page.querySelector('svg a');
    if (link) {
        f.contentWindow.location.hash = link.getAttribute('href');
        const panel = page.querySelector(':target');
        tell('panel', panel ? Math.round(panel.getBoundingClientRect().height) : 0);
        tell('beyond', page.documentElement.scrollWidth);
    }
    const links = [...page.querySelectorAll('a')].map(a => a.getAttribute('href').slice(1));
    const lost = links.filter(name => name != '-' && !page.getElementById(name));
    tell('lost', lost.length);
    document.body.append('TOLD ' + told.join(' ') + ' END');
";

/// A browser's answer: what it printed, and what it had to complain of.
struct Answer {
    output: String,
    complaints: String,
}

/// Shows a file; `None` without a browser.
fn show(folder: &Path, page: &Path, arguments: &[String]) -> Option<Answer> {
    let run = |browser: &str| {
        let mut command = Command::new(browser);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--allow-file-access-from-files", "--virtual-time-budget=5000", "--enable-logging=stderr"]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.args(arguments).arg(format!("file://{}", page.display())).output().ok()
    };
    let Some(output) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(run) else {
        let required = std::env::var("ESCARP_BROWSER").is_ok_and(|value| value == "required");
        assert!(!required, "ESCARP_BROWSER=required, and there is no chromium");
        return None;
    };
    let [output, complaints] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Some(Answer { output, complaints })
}

/// How a page looks in a frame of a phone's width; `None` without a browser.
fn look(folder: &Path, page: &Path) -> Option<Answer> {
    let frame = folder.join("frame.html");
    // The bar at the right of a page that scrolls down is part of the frame.
    let text = format!(
        "<!doctype html><body><iframe id=f style=\"width:{PHONE}px;height:800px;border:0\" src=\"file://{}\"></iframe>\
         <script>f.onload = () => {{ f.onload = null; {SCRIPT} }}</script></body>",
        page.display()
    );
    std::fs::write(&frame, text).unwrap();
    show(folder, &frame, &["--dump-dom".into()])
}

/// What stands behind a name in the answer.
fn told(answer: &Answer, name: &str) -> Option<u32> {
    // The script stands in the page too, with no number in it.
    let told = answer.output.rsplit_once("TOLD ")?.1;
    told.split_once(&format!("{name} "))?.1.split_once(';')?.0.parse().ok()
}

/// Colours of a page's first screen.
fn colours(folder: &Path, page: &Path) -> usize {
    let picture = folder.join("screen.png");
    let arguments = [format!("--screenshot={}", picture.display()), "--window-size=1000,800".into()];
    show(folder, page, &arguments).unwrap();
    let mut colours: Vec<[u8; 3]> =
        Image::decode(&std::fs::read(picture).unwrap()).unwrap().pixels.as_chunks().0.to_vec();
    colours.sort_unstable();
    colours.dedup();
    colours.len()
}

/// What is wider than a phone stands in a box that scrolls, or may shrink. With a browser at hand it is looked at: nothing reaches
/// beyond a phone, something is to be seen, the browser complains of nothing, links lead somewhere, and a click on a picture opens
/// its panel.
#[track_caller]
pub fn fits(folder: &Path, page: &Path) {
    let html = std::fs::read_to_string(page).unwrap();
    for (i, _) in html.match_indices("<table") {
        assert!(html[..i].trim_end().ends_with("<div class=\"scroll\">"), "a table without a box at byte {i}");
    }
    for (i, _) in html.match_indices("minmax(") {
        let least = html[i + 7..].split(',').next().unwrap();
        let pixels: Option<u32> = least.strip_suffix("px").and_then(|p| p.parse().ok());
        assert!(pixels.is_none_or(|p| p < 300), "columns of at least {least}");
    }
    let Some(answer) = look(folder, page) else {
        eprintln!("NOT TESTED: no chromium here to look at {}", page.display());
        return;
    };
    let shown = page.display();
    let of = |name: &str| {
        told(&answer, name).unwrap_or_else(|| panic!("{shown}: no {name}: {}{}", answer.output, answer.complaints))
    };
    assert!(of("reaches") <= PHONE, "{shown} reaches {} pixels", of("reaches"));
    assert!(of("letters") > 200 && of("height") > 400, "{shown} is blank: {} letters", of("letters"));
    assert_eq!(of("lost"), 0, "{shown}: links that lead nowhere");
    if html.contains("class=\"panel\"") {
        assert!(of("panel") > 50, "{shown}: a click on a node shows nothing");
        assert!(of("beyond") <= PHONE, "{shown}: a panel reaches {} pixels", of("beyond"));
    }
    let console = answer.complaints.lines().find(|line| line.contains("CONSOLE"));
    assert_eq!(console, None, "{shown}");
    let colours = colours(folder, page);
    assert!(colours > 8, "{shown}: {colours} colours on the screen");
}
