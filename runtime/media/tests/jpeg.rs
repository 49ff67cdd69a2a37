//! The JPEG decoder against libjpeg-turbo's pixels.

mod shared;

use escarp_media::{Folder, Image, Kind, Npy, NpyData, read_file};

/// 1,000 images that Pillow 13 (libjpeg-turbo 3.2, defaults) decoded: not one value may differ.
#[test]
fn cifar_pixels_are_those_of_libjpeg_turbo() {
    let (Some(tar), Some(npy)) =
        (shared::shared("data/cifar10/test.tar"), shared::shared("data/cifar10/test-first100-per-class-decoded.npy"))
    else {
        return;
    };
    let NpyData::U8(want) = Npy::decode(&read_file(&npy, 1 << 28).unwrap()).unwrap().data else { panic!("u8 pixels") };
    let mut folder = Folder::open(tar, Kind::Image).unwrap();
    assert_eq!((folder.len(), folder.classes().len()), (5000, 10));
    folder.retain(|e| e.name.rsplit('/').next().unwrap() < "0100");
    assert_eq!(folder.len(), 1000);
    let (mut differing, mut worst) = (0, 0);
    for (sample, want) in folder.samples().zip(want.chunks_exact(32 * 32 * 3)) {
        let image = Image::decode(&sample.unwrap().bytes).unwrap();
        assert_eq!((image.width, image.height), (32, 32));
        for (g, w) in image.pixels.iter().zip(want) {
            differing += usize::from(g != w);
            worst = worst.max(g.abs_diff(*w));
        }
    }
    println!("{differing} of {} values differ, at most by {worst}", want.len());
    assert_eq!(differing, 0);
}

/// Every kind of file that encoders write, against the pixels that libjpeg-turbo makes of it (`jpeg/make.py`).
#[test]
fn all_kinds_of_files() {
    let names = [
        "420",
        "420-narrow",
        "422",
        "444",
        "411",
        "440",
        "gray",
        "rgb",
        "optimized",
        "restart",
        "progressive",
        "progressive-444",
        "progressive-gray",
    ];
    for name in names {
        let read = |extension| read_file(format!("tests/jpeg/{name}.{extension}").as_ref(), 1 << 20).unwrap();
        let (got, want) = (Image::decode(&read("jpg")).unwrap(), Image::decode(&read("png")).unwrap());
        assert_eq!((got.width, got.height), (want.width, want.height), "{name}");
        let worst = got.pixels.iter().zip(&want.pixels).map(|(g, w)| g.abs_diff(*w)).max();
        assert_eq!(worst, Some(0), "{name}");
    }
}
