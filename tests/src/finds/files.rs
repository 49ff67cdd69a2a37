//! Pictures, archives, tables, logs.

use crate::fuzz::seeds::{png, tar};

type Named = (&'static str, Vec<u8>);

pub fn all() -> Vec<(&'static str, Vec<Named>)> {
    // The target `data` takes a front end's and a name's number first: raw, `a.csv`.
    let commas = [&[0, 1], &[b','; 32 << 20][..], b"\n1\n"].concat();
    vec![
        ("front-end", vec![("pixels-not-a-number", pixels_not_a_number())]),
        ("image", vec![("plte4", png(1, 3, &[0], &[1, 2, 3, 4])), ("slow", slow_jpeg())]),
        ("tar", vec![("evil-tar", evil_tar()), ("unsup-only", unsup_only()), ("class-folders", class_folders(20_000))]),
        ("data", vec![("commas", commas)]),
        ("health", vec![("evil-log", evil_log()), ("many-layers", many_layers(20_000))]),
        ("net", vec![("evil-net", b"[[layer]]\nkind = \"\\u001b[31mred\"\n".to_vec())]),
    ]
}

/// Kind 1, one channel, mean and deviation so large that 255 times each is infinite, a pixel.
fn pixels_not_a_number() -> Vec<u8> {
    [&[1, 0, 1, 0][..], &f32::MAX.to_le_bytes(), &f32::MAX.to_le_bytes(), &[7]].concat()
}

/// 8192 x 8192 gray pixels, progressive: the first scan has one bit a block, each of 198 more a few codes for all blocks.
fn slow_jpeg() -> Vec<u8> {
    const BLOCKS: usize = 1024 * 1024;
    const SCANS: usize = 199;
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8], data: &[u8]| {
        file.extend([0xff, marker]);
        file.extend(u16::try_from(body.len() + 2).expect("short").to_be_bytes());
        file.extend(body);
        file.extend(data);
    };
    segment(0xdb, &[&[0], &[1; 64][..]].concat(), &[]);
    segment(0xc2, &[8, 0x20, 0, 0x20, 0, 1, 1, 0x11, 0], &[]);
    // One code each, of one bit: DC difference 0; and the end of 2^14 blocks and as many more as 14 bits say.
    let one_code = |class: u8, symbol: u8| [&[class << 4, 1], &[0; 15][..], &[symbol]].concat();
    segment(0xc4, &one_code(0, 0), &[]);
    segment(0xc4, &one_code(1, 0xe0), &[]);
    segment(0xda, &[1, 1, 0, 0, 0, 0], &vec![0; BLOCKS / 8]);
    for scan in 1..SCANS {
        let coefficient = u8::try_from(1 + scan % 63).expect("at most 63");
        segment(0xda, &[1, 1, 0, coefficient, coefficient, 0], &[0; BLOCKS / (1 << 14) * 15 / 8]);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// Paths that lead elsewhere, and one that a terminal would obey.
fn evil_tar() -> Vec<u8> {
    let names =
        ["../../etc/a.txt", "/etc/passwd.txt", "a/../../b.txt", "./pos/z.txt", "pos//w.txt", "pos/\x1b[31mesc.txt"];
    let files: Vec<(&str, &[u8])> =
        names.iter().map(|name| (*name, &b"x"[..])).chain([("neg/y.txt", &b"y"[..])]).collect();
    tar(&files)
}

/// The one folder is of texts without a class, which are passed over.
fn unsup_only() -> Vec<u8> {
    tar(&[("only/", b""), ("only/unsup/", b""), ("only/unsup/a.txt", b"a text")])
}

fn class_folders(count: usize) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|i| format!("c{i:05}/1.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    tar(&files)
}

/// Names of layers that a terminal would obey.
fn evil_log() -> Vec<u8> {
    let line = |step: u32, loss: &str| {
        format!(
            r#"{{"step":{step},"loss":{loss},"layers":[{{"name":"a\u001b[31m<script>\u001b]0;x\u0007","kind":"dense","gradient_norm":1e-30,"weight_norm":1.0,"non_finite":"weights"}}]}}"#
        )
    };
    format!("{}\n{}\n", line(0, "2.3"), line(20, "\"NaN\"")).into_bytes()
}

fn many_layers(count: usize) -> Vec<u8> {
    let layers: Vec<String> = (0..count).map(|i| format!(r#"{{"name":"l{i}","gradient_norm":0.1}}"#)).collect();
    let line = |step: u32| format!(r#"{{"step":{step},"loss":2.3,"layers":[{}]}}"#, layers.join(","));
    (0..3).map(|i| line(20 * i) + "\n").collect::<String>().into_bytes()
}
