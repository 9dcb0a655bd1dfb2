//! The result of a child that exited, and the errors made from it.

use super::error::{Context, ExecError, one_line_begin};

/// The exit code and the output of a child that ended by itself.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// The first bytes of its stdout.
    pub stdout: Vec<u8>,
    /// The last bytes of its stderr.
    pub stderr: Vec<u8>,
    /// Whether stdout was longer than what is kept.
    pub cut: bool,
    pub(super) context: Context,
}

impl Output {
    /// Stdout as text; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The error for an exit code that is a failure.
    #[must_use]
    pub fn exited(self) -> ExecError {
        ExecError::Exited {
            code: self.code,
            context: self.context,
        }
    }

    /// The error for output that cannot be parsed. The parser's error may quote the output:
    /// its beginning is kept, on one line.
    #[must_use]
    pub fn nonsense(self, what: impl AsRef<str>) -> ExecError {
        ExecError::Nonsense {
            what: one_line_begin(what.as_ref()),
            context: self.context,
        }
    }

    /// Itself where the exit code is 0.
    ///
    /// # Errors
    /// [`ExecError::Exited`] otherwise.
    pub fn success(self) -> Result<Self, ExecError> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(self.exited())
        }
    }
}
