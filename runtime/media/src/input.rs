//! From a file of any kind to one decision's network input: the one path for calibration, accuracy and the board.

use escarp_runtime::frontend::{FrontEnd, LogMel, quantize};

use crate::{Csv, Error, Image, Kind, Npy, NpyData, Pcm, Windows, csv::listed};

/// What a network takes for one decision: `[steps][height][width][channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// Time steps of a recurrent network, 1 for a feed-forward one.
    pub steps: usize,
    /// Rows of one step's tensor.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels, bands or features.
    pub channels: usize,
}

impl InputShape {
    /// Numbers in one decision's input.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.steps * self.height * self.width * self.channels
    }
}

/// Reads files as the input of one network.
///
/// | file | front end pixels | log-mel | sensor | raw |
/// |---|---|---|---|---|
/// | JPEG, PNG | scaled and cropped by [`Image::cover`], one channel by [`Image::to_gray`], normalized | - | - | - |
/// | WAV | - | resampled, [`Windows`], [`LogMel::clip`] | - | - |
/// | CSV but for a column `label` | - | - | [`Windows`] of [the columns](InputReader::with_columns), normalized | all values as they are |
/// | NPY | `u8`: pixels; other types: values as they are | `i16`: PCM at the front end's rate, one sound; other types: values as they are | values as they are | values as they are |
/// | other bytes | pixels `[height][width][channels]` | 16-bit little-endian PCM of any length | `f32` samples `[frames][channels]`, normalized | `f32` values, or int8 as the network takes it |
///
/// "As they are" means the network's float input, before quantization, one after the other as [`InputReader::batch`] finds
/// them. The first bytes of a file decide its kind, and where they say nothing its name's extension.
#[derive(Clone, Debug)]
pub struct InputReader<'a> {
    front_end: FrontEnd<'a>,
    shape: InputShape,
    /// Window and filter bank, copied for each clip.
    mel: Option<Box<LogMel>>,
    /// Which columns of a CSV file are channels; none: all.
    columns: Vec<String>,
}

impl<'a> InputReader<'a> {
    /// Checks that the front end can make inputs of this shape.
    ///
    /// # Errors
    /// [`Error::FrontEnd`]; [`Error::Shape`] if the two do not agree.
    pub fn new(front_end: FrontEnd<'a>, shape: InputShape) -> Result<Self, Error> {
        front_end.check()?;
        let InputShape { steps, height, width, channels } = shape;
        let of_frames = |what: &str, frames: u16, features: usize| {
            // Frames are steps of a recurrent network or rows of a feed-forward one.
            if shape.elements() == usize::from(frames) * features && (steps == 1 || steps == frames.into()) {
                return Ok(());
            }
            Err(Error::Shape(format!(
                "the network takes {steps} x [{height}, {width}, {channels}], its front end makes {frames} frames of {features} {what}"
            )))
        };
        let mut mel = None;
        match front_end {
            FrontEnd::Raw => {}
            FrontEnd::Pixels(s) => {
                if steps != 1 || channels != s.norm.len() || !matches!(channels, 1 | 3) {
                    return Err(Error::Shape(format!(
                        "the network takes {steps} x [{height}, {width}, {channels}], its pixel settings have {} channels; \
                         images are 1 x [height, width, 1 or 3]",
                        s.norm.len()
                    )));
                }
            }
            FrontEnd::LogMel(s) => {
                of_frames("bands", s.frames, s.norm.len())?;
                mel = Some(Box::new(LogMel::new(&s)?));
            }
            FrontEnd::Sensor(s) => of_frames("channels", s.frames, s.norm.len())?,
        }
        Ok(InputReader { front_end, shape, mel, columns: Vec::new() })
    }

    /// Which columns of a CSV file are the sensor's channels, as [`Csv::decode_columns`] takes them; none: all, as they stand.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not as many as the network takes.
    pub fn with_columns(mut self, columns: &[String]) -> Result<Self, Error> {
        let channels = if let FrontEnd::Sensor(s) = self.front_end { s.norm.len() } else { 0 };
        if !columns.is_empty() && columns.len() != channels {
            let given = columns.len();
            return Err(Error::Shape(format!(
                "{given} names of columns given; the network takes {channels} of a sensor"
            )));
        }
        self.columns = columns.to_vec();
        Ok(self)
    }

    /// The kind of files in a folder of samples for this network.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.front_end {
            FrontEnd::Raw => Kind::Array,
            FrontEnd::Pixels(_) => Kind::Image,
            FrontEnd::LogMel(_) => Kind::Sound,
            FrontEnd::Sensor(_) => Kind::Table,
        }
    }

    /// What a file holds for the network: one input, several of an array, or the windows of a recording.
    ///
    /// # Errors
    /// Those of the decoders, and [`Error::Shape`] if the content does not fit the network. None names the file.
    pub fn read(&self, name: &str, bytes: &[u8]) -> Result<Content, Error> {
        let held = match sniff(name, bytes) {
            Some(Kind::Image) => Held::Inputs(self.image(&Image::decode(bytes)?)?),
            Some(Kind::Sound) => self.sound(Pcm::decode(bytes)?)?,
            Some(Kind::Table) => self.table(Csv::decode_columns(bytes, Csv::LABEL, &self.columns)?)?,
            Some(Kind::Array) => self.array(Npy::decode(bytes)?)?,
            Some(Kind::Text) | None => self.bytes(bytes)?,
        };
        Ok(Content { held, each: self.shape.elements() })
    }

    /// The network's float input number `index` of a file, `[steps][height][width][channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the file has no such input, or has it in int8 only.
    pub fn floats(&self, content: &Content, index: usize) -> Result<Vec<f32>, Error> {
        if index >= content.count() {
            return Err(Error::Shape(format!("input {index} of {}", content.count())));
        }
        match (&content.held, self.front_end) {
            (Held::Inputs(all), _) => Ok(all[index * content.each..][..content.each].to_vec()),
            (Held::Sound(samples, windows), _) => self.clip(&samples[windows.range(index)]),
            (Held::Rows(values, windows), FrontEnd::Sensor(s)) => {
                let (rows, channels) = (windows.range(index), s.norm.len());
                let mut out = vec![0.0; self.shape.elements()];
                s.normalize(&values[rows.start * channels..rows.end * channels], &mut out)?;
                Ok(out)
            }
            (Held::Rows(..), _) => Err(self.misfit("a sensor recording")),
            (Held::Int8(bytes), _) => Err(self.misfit(&format!("{} bytes of no known format", bytes.len()))),
        }
    }

    /// The network's int8 input number `index` of a file: [`InputReader::floats`], quantized; bytes of unknown kind for a raw
    /// front end are taken as int8 already if they are as many as the elements.
    ///
    /// # Errors
    /// As [`InputReader::floats`].
    pub fn quantized(&self, content: &Content, index: usize, scale: f32, zero_point: i8) -> Result<Vec<i8>, Error> {
        if let (Held::Int8(ready), 0) = (&content.held, index) {
            return Ok(ready.clone());
        }
        Ok(self.floats(content, index)?.into_iter().map(|v| quantize(v, scale, zero_point)).collect())
    }

    /// All samples of an array `[n, ..]`, or one without the first axis, as float inputs one after the other. A sample is
    /// flat, `[steps][height][width][channels]`, or in planes `[steps][channels][height][width]` as PyTorch has them;
    /// axes of length 1 may be missing or added. What fits both counts as the former.
    ///
    /// # Errors
    /// [`Error::Shape`] if the array does not divide into inputs of the network; [`Error::Npy`] for NaN or infinity.
    pub fn batch(&self, array: &Npy) -> Result<Vec<f32>, Error> {
        let InputShape { steps, height, width, channels } = self.shape;
        let (each, have) = (self.shape.elements(), array.shape.iter().product::<usize>());
        let long = |axes: &[usize]| axes.iter().copied().filter(|&n| n != 1).collect::<Vec<usize>>();
        let (samples, sample) = match array.shape.as_slice() {
            whole if have == each => (1, long(whole)),
            [n, rest @ ..] => (*n, long(rest)),
            [] => (0, Vec::new()),
        };
        let as_is = sample.len() <= 1 || sample == long(&[steps, height, width, channels]);
        let planes = sample == long(&[steps, channels, height, width]);
        if have == 0 || samples.checked_mul(each) != Some(have) || !(as_is || planes) {
            return Err(self.misfit(&format!("an array of shape {:?}", array.shape)));
        }
        let mut values = array.to_f32();
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::Npy(format!("element {at} is {}; finite numbers only", values[at])));
        }
        if !as_is {
            for step in values.chunks_exact_mut(height * width * channels) {
                let planes = step.to_vec();
                for (i, v) in step.iter_mut().enumerate() {
                    *v = planes[i % channels * height * width + i / channels];
                }
            }
        }
        if let (NpyData::U8(_), FrontEnd::Pixels(s)) = (&array.data, &self.front_end) {
            for (i, v) in values.iter_mut().enumerate() {
                *v = s.value(*v as u8, i % channels); // it was one
            }
        }
        Ok(values)
    }

    fn array(&self, array: Npy) -> Result<Held, Error> {
        match (array.data, &self.front_end) {
            (NpyData::I16(samples), FrontEnd::LogMel(s)) => {
                // Several sounds in one array would be cut into windows that begin in one and end in the next.
                if samples.is_empty() || array.shape.iter().filter(|&&n| n > 1).count() > 1 {
                    return Err(self.misfit(&format!("an array of i16 of shape {:?}", array.shape)));
                }
                let windows = Windows::of_sound(s, samples.len());
                Ok(Held::Sound(samples, windows))
            }
            (data, _) => Ok(Held::Inputs(self.batch(&Npy { data, ..array })?)),
        }
    }

    fn image(&self, image: &Image) -> Result<Vec<f32>, Error> {
        let FrontEnd::Pixels(settings) = self.front_end else { return Err(self.misfit("an image")) };
        let image = image.cover(self.shape.width, self.shape.height);
        let pixels = if self.shape.channels == 1 { image.to_gray() } else { image.pixels };
        let mut out = vec![0.0; pixels.len()];
        settings.normalize(&pixels, &mut out)?;
        Ok(out)
    }

    fn sound(&self, pcm: Pcm) -> Result<Held, Error> {
        let FrontEnd::LogMel(settings) = self.front_end else { return Err(self.misfit("sound")) };
        let samples = pcm.at_rate(settings.sample_rate)?.samples;
        let windows = Windows::of_sound(&settings, samples.len());
        Ok(Held::Sound(samples, windows))
    }

    fn clip(&self, samples: &[i16]) -> Result<Vec<f32>, Error> {
        let Some(mut mel) = self.mel.clone() else { return Err(self.misfit("sound")) };
        let mut out = vec![0.0; self.shape.elements()];
        mel.clip_f32(samples, &mut out)?;
        Ok(out)
    }

    fn table(&self, csv: Csv) -> Result<Held, Error> {
        let shape = format!("{} rows of {}", csv.rows(), csv.describe());
        match self.front_end {
            FrontEnd::Raw if csv.values.len() == self.shape.elements() => Ok(Held::Inputs(csv.values)),
            FrontEnd::Sensor(s) if csv.channels == s.norm.len() && csv.rows() >= s.frames.into() => {
                let windows = Windows::of_rows(&s, csv.rows());
                Ok(Held::Rows(csv.values, windows))
            }
            _ => Err(self.misfit(&shape)),
        }
    }

    fn bytes(&self, bytes: &[u8]) -> Result<Held, Error> {
        let misfit = || self.misfit(&format!("{} bytes of no known format", bytes.len()));
        let elements = self.shape.elements();
        let floats = || -> Result<Vec<f32>, Error> {
            let (values, rest) = bytes.as_chunks::<4>();
            let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let fits = rest.is_empty() && values.len() == elements && values.iter().all(|v| v.is_finite());
            if fits { Ok(values) } else { Err(misfit()) }
        };
        match self.front_end {
            FrontEnd::Raw if bytes.len() == elements => {
                Ok(Held::Int8(bytes.iter().map(|&b| b.cast_signed()).collect()))
            }
            FrontEnd::Raw => Ok(Held::Inputs(floats()?)),
            FrontEnd::Sensor(s) => {
                let mut out = vec![0.0; elements];
                s.normalize(&floats()?, &mut out)?;
                Ok(Held::Inputs(out))
            }
            FrontEnd::Pixels(s) if bytes.len() == elements => {
                let mut out = vec![0.0; elements];
                s.normalize(bytes, &mut out)?;
                Ok(Held::Inputs(out))
            }
            FrontEnd::LogMel(s) if !bytes.is_empty() && bytes.len().is_multiple_of(2) => {
                let samples: Vec<i16> = bytes.as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
                let windows = Windows::of_sound(&s, samples.len());
                Ok(Held::Sound(samples, windows))
            }
            _ => Err(misfit()),
        }
    }

    /// What was given and what the network takes.
    fn misfit(&self, given: &str) -> Error {
        let InputShape { steps, height, width, channels } = self.shape;
        let n = self.shape.elements();
        let takes = match self.front_end {
            FrontEnd::Raw => format!(
                "an NPY or CSV of {n} numbers ({steps} x [{height}, {width}, {channels}]), {n} int8 bytes or {n} little-endian f32"
            ),
            FrontEnd::Pixels(_) => {
                format!(
                    "a JPEG or PNG, an NPY of [{height}, {width}, {channels}] or [{channels}, {height}, {width}], or {n} bytes of pixels"
                )
            }
            FrontEnd::LogMel(s) => {
                format!("a WAV, an NPY of {n} features or of i16 samples, or 16-bit PCM at {} Hz", s.sample_rate)
            }
            FrontEnd::Sensor(s) => format!(
                "a CSV of {} columns{} and at least {} rows, an NPY of {n} numbers, or {n} little-endian f32",
                s.norm.len(),
                if self.columns.is_empty() { String::new() } else { format!(" ({})", listed(&self.columns)) },
                s.frames
            ),
        };
        Error::Shape(format!("{given} given; this network takes {takes}"))
    }
}

/// What [`InputReader::read`] found in a file: at least one input of the network.
#[derive(Clone, Debug)]
pub struct Content {
    held: Held,
    /// Numbers in one input.
    each: usize,
}

#[derive(Clone, Debug)]
enum Held {
    /// `[inputs][steps][height][width][channels]`, normalized.
    Inputs(Vec<f32>),
    /// As the network takes it.
    Int8(Vec<i8>),
    /// At the front end's rate.
    Sound(Vec<i16>, Windows),
    /// `[rows][channels]`, as recorded.
    Rows(Vec<f32>, Windows),
}

impl Content {
    /// How many inputs, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        match (&self.held, self.windows()) {
            (_, Some(windows)) => windows.count(),
            (Held::Inputs(all), None) => all.len() / self.each,
            (_, None) => 1,
        }
    }

    /// Where the inputs lie in a recording, if this is one.
    #[must_use]
    pub fn windows(&self) -> Option<&Windows> {
        match &self.held {
            Held::Sound(_, windows) | Held::Rows(_, windows) => Some(windows),
            Held::Inputs(_) | Held::Int8(_) => None,
        }
    }
}

/// The kind of a file by its first bytes, else by its name; `None` for bytes of no known format.
fn sniff(name: &str, bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Kind::Image),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Kind::Sound),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Kind::Array),
        // No network that is read for takes words: a text's bytes are what its name does not say.
        _ => Kind::of(name).filter(|kind| *kind != Kind::Text),
    }
}
