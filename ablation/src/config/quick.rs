//! `[quick]`: the short form of a study, which answers its first question within minutes.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{DesignKind, Quick, Workload};
use ablate_format::Arm;
use ablate_stats::MAX_BLOCKS;

impl Checker<'_> {
    pub(super) fn quick(
        &self,
        raw: Option<&raw::Quick>,
        workloads: &[Workload],
        arms: &[Arm],
        designs: &[DesignKind],
    ) -> Checked<Option<Quick>> {
        let Some(raw) = raw else { return Ok(None) };
        let named = self.list("workload", &raw.workloads, workloads.iter().map(|workload| workload.name.as_str()))?;
        // Only arms and designs of the whole study, whose needs were checked already.
        let arms = match &raw.arms {
            Some(list) => {
                let known = self.list("arm of this study", list, arms.iter().map(|arm| arm.as_str()))?;
                known.into_iter().map(|index| arms[index]).collect()
            }
            None => arms.to_vec(),
        };
        let designs = match &raw.design {
            Some(list) => {
                let known = self.list("design of this study", list, designs.iter().map(|design| design.as_str()))?;
                known.into_iter().map(|index| designs[index]).collect()
            }
            None => designs.to_vec(),
        };
        Ok(Some(Quick {
            blocks: self.number("blocks", &raw.blocks, 1, MAX_BLOCKS as i64)? as u32,
            workloads: named.into_iter().map(|index| workloads[index].name.clone()).collect(),
            arms,
            designs,
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{GOOD, parsed};
    use ablate_format::Arm;

    const QUICK: &str =
        "[quick]\nblocks = 7\nworkloads = [\"large\"]\narms = [\"env\"]\ndesign = [\"leave-one-out\"]\n";

    #[test]
    fn the_short_form_has_what_it_names_and_no_more() {
        let mut study = parsed(&format!("{GOOD}{QUICK}")).expect("good");
        assert!(study.blocks != 7 && study.workloads.len() > 1 && study.make_quick());
        assert_eq!((study.blocks, study.layouts, study.arms.as_slice()), (7, 1, &[Arm::Env][..]));
        assert_eq!(study.workloads.iter().map(|workload| workload.name.as_str()).collect::<Vec<_>>(), ["large"]);
        let plan = crate::design::resolve(&study).expect("the design is good").plan;
        assert!(plan.cells.iter().all(|cell| cell.arm != Some(Arm::Feature)), "{:?}", plan.cells);
        assert!(!parsed(GOOD).expect("good").make_quick());
    }

    #[test]
    fn what_the_study_does_not_have_is_refused() {
        for (from, to, part) in [
            ("\"large\"", "\"lagre\"", "did you mean `large`"),
            ("\"env\"", "\"args\"", "unknown arm of this study `args`"),
            ("\"leave-one-out\"", "\"factorial\"", "unknown design of this study `factorial`"),
            ("blocks = 7", "blocks = 0", "blocks is 0"),
            ("blocks = 7\n", "", "blocks"),
            ("blocks = 7", "block = 7", "did you mean `blocks`"),
        ] {
            let error = parsed(&format!("{GOOD}{}", QUICK.replace(from, to))).expect_err(to).to_string();
            assert!(error.contains(part), "expected `{part}` in {error}");
        }
    }
}
