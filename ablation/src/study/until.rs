//! The blocks of a study: a number that is known, or as many as looks ask for. Looks come after numbers of blocks that are
//! fixed before the first one, and what a look computes is the caller's.

use crate::prove::{self, JudgedRun};
use crate::run::{self, Context, End, RunError, Session};
use crate::store::{self, Folder, StoreError};
use crate::support::count::counted;
use crate::support::progress::note;
use ablate_format::Manifest;
use std::fmt;
use std::sync::Arc;

/// What a look says: why the study is over, if it is.
type IsOver = dyn Fn(&Manifest, &[JudgedRun], u32) -> Option<String> + Send + Sync;

/// The looks of a study.
#[derive(Clone)]
pub(crate) struct Until {
    /// Numbers of blocks in ascending order. The last one is the most blocks that are run.
    pub(crate) looks: Vec<u32>,
    /// Why the study is over after so many blocks, by its runs so far.
    pub(crate) is_over: Arc<IsOver>,
}

/// Runs this many blocks.
///
/// # Errors
/// [`RunError`]; the records so far are kept.
pub(super) fn all(context: &Context<'_>, blocks: u32, session: &mut Session<'_>) -> Result<End, RunError> {
    for block in context.blocks(blocks) {
        if run::block(context, block, session)? == End::Interrupted {
            return Ok(End::Interrupted);
        }
    }
    Ok(End::Complete)
}

impl fmt::Debug for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").field("looks", &self.looks).finish_non_exhaustive()
    }
}

impl Until {
    /// Runs blocks until a look says that it is enough. The blocks of the manifest grow with every block that begins, so
    /// that the folder can be read and resumed at any time.
    ///
    /// # Errors
    /// [`RunError`]; the records so far are kept.
    pub(super) fn run(
        &self,
        context: &Context<'_>,
        session: &mut Session<'_>,
        (folder, manifest): (&Folder, &mut Manifest),
    ) -> Result<End, RunError> {
        let most = self.looks.last().copied().unwrap_or(0);
        for block in 0..most {
            // A block that an earlier call began is finished in any case, because only whole blocks count.
            if block >= manifest.blocks {
                if self.looks.contains(&block) && self.ends(folder, block)? {
                    return Ok(End::Complete);
                }
                manifest.blocks = block + 1;
                folder.write_manifest(manifest)?;
            }
            if run::block(context, block, session)? == End::Interrupted {
                return Ok(End::Interrupted);
            }
        }
        Ok(End::Complete)
    }

    fn ends(&self, folder: &Folder, blocks: u32) -> Result<bool, StoreError> {
        let (manifest, runs, _) = store::read_judged(folder.dir())?;
        let (mut runs, _) = store::whole_blocks(&manifest, runs);
        prove::prove_together(&manifest.plan, &mut runs);
        let why = (self.is_over)(&manifest, &runs, blocks);
        if let Some(why) = &why {
            note(&format!("stopped after {}: {why}", counted(blocks as usize, "block")));
        }
        Ok(why.is_some())
    }
}
