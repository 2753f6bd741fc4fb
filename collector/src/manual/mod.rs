//! What a person decides by hand: `tidegate block` and `tidegate divert`. Always with an end, always in
//! the decision log, undone by `tidegate rollback`. It does not carry anything out.

pub mod wish;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use tidegate_contract::order::{FixedAnswer, MAX_ANSWER_BYTES};
use tidegate_contract::segment::{Segment, SegmentError};

/// `tidegate block`.
#[derive(Debug, Args)]
pub struct BlockArgs {
    /// The model
    pub model: String,
    #[command(flatten)]
    common: Common,
    /// After how long clients may ask again, such as 30s
    #[arg(long, value_name = "DURATION")]
    retry_after: Option<String>,
    /// Answer with this file instead of an error; at most 16 KiB of text
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// The status of that answer, 200 to 599
    #[arg(long, value_name = "STATUS", default_value_t = 200, requires = "answer")]
    status: u16,
    /// The content type of that answer; without it the file's name tells
    #[arg(long, value_name = "TYPE", requires = "answer")]
    content_type: Option<String>,
}

/// `tidegate divert`.
#[derive(Debug, Args)]
pub struct DivertArgs {
    /// The model
    pub model: String,
    /// The version that answers instead; its role is fallback
    #[arg(long, value_name = "VERSION")]
    to: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// How long, such as 10m; it ends by itself
    #[arg(long = "for", value_name = "DURATION")]
    lasts: String,
    /// Only for requests like these, such as 'age >= 55 and header:x-client = acme'
    #[arg(long = "where", value_name = "SEGMENT")]
    segment: Option<String>,
    /// Why, for the log and for who is refused
    #[arg(long, default_value = "")]
    reason: String,
    /// Who, for the log
    #[arg(long, env = "USER", default_value = "operator")]
    author: String,
}

/// Why a command says nothing that could be wished.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// The segment cannot be read.
    #[error("--where: {0}")]
    Segment(#[from] SegmentError),
    /// The answer's file cannot be read.
    #[error("--answer: {}: {why}", file.display())]
    Answer {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: io::Error,
    },
}

impl BlockArgs {
    /// What it wishes.
    ///
    /// # Errors
    /// When the segment or the answer cannot be read.
    pub fn wish(&self) -> Result<wish::Block, ManualError> {
        let answer = self.answer.as_deref().map(|file| self.read(file)).transpose()?;
        let Common { lasts, reason, author, .. } = &self.common;
        Ok(wish::Block {
            author: author.clone(),
            reason: reason.clone(),
            lasts: lasts.clone(),
            segment: self.common.segment()?,
            retry_after: self.retry_after.clone(),
            answer,
        })
    }

    fn read(&self, file: &Path) -> Result<FixedAnswer, ManualError> {
        let most = MAX_ANSWER_BYTES as u64;
        let mut body = String::new();
        // One more byte tells that there are more.
        let read = File::open(file).and_then(|it| it.take(most + 1).read_to_string(&mut body));
        let wrong = |why| ManualError::Answer { file: file.to_owned(), why };
        if read.map_err(wrong)? > MAX_ANSWER_BYTES {
            let why = format!("more than {most} bytes; shorten it");
            return Err(wrong(io::Error::other(why)));
        }
        let by_name = match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => "application/json",
            Some("html") => "text/html; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        let content_type = self.content_type.clone().unwrap_or_else(|| by_name.to_owned());
        Ok(FixedAnswer { status: self.status, content_type, body })
    }
}

impl DivertArgs {
    /// What it wishes.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub fn wish(&self) -> Result<wish::Divert, ManualError> {
        let Common { lasts, reason, author, .. } = &self.common;
        Ok(wish::Divert {
            author: author.clone(),
            reason: reason.clone(),
            lasts: lasts.clone(),
            segment: self.common.segment()?,
            to: self.to.clone(),
        })
    }
}

impl Common {
    fn segment(&self) -> Result<Option<Segment>, SegmentError> {
        self.segment.as_deref().map(str::parse).transpose()
    }
}
