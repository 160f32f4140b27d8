//! `[quick]`: the short form of a study, which answers its first question within minutes.

use super::check::{At, Checked};
use super::{DesignKind, Study, Workload, raw};
use ablate_format::Arm;

/// What is run instead of the whole study. One code layout of each build, no claims, no placebo that has to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quick {
    /// Timing blocks, 1 to 10000.
    blocks: u32,
    /// Names of workloads, at least one.
    workloads: Vec<String>,
    /// Arms; at least one in a study with factors.
    arms: Vec<Arm>,
    /// Designs; at least one in a study with factors.
    designs: Vec<DesignKind>,
}

impl At<'_> {
    pub(super) fn quick(
        &self,
        raw: Option<&raw::Quick>,
        workloads: &[Workload],
        arms: &[Arm],
        designs: &[DesignKind],
    ) -> Checked<Option<Quick>> {
        let Some(raw) = raw else { return Ok(None) };
        let named = self.list("workload", &raw.workloads, workloads.iter().map(|workload| workload.name.as_str()))?;
        // Only what the whole study has: everything that an arm or a design needs was checked for it.
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
            blocks: self.number("blocks", &raw.blocks, 1, 10_000)? as u32,
            workloads: named.into_iter().map(|index| workloads[index].name.clone()).collect(),
            arms,
            designs,
        }))
    }
}

impl Study {
    /// Turns the study into its quick form. Returns whether it has one.
    pub fn make_quick(&mut self) -> bool {
        let Some(quick) = self.quick.take() else { return false };
        let known = self.only(&quick.workloads);
        debug_assert!(known.is_ok(), "the names were checked when the config was read");
        self.workloads.iter_mut().for_each(|workload| workload.designs = None);
        self.blocks = quick.blocks;
        self.arms = quick.arms;
        self.designs = quick.designs;
        self.layouts = 1;
        if !self.by_feature() {
            self.subject.placebo_feature = None;
        }
        // They are about cells that a short form need not have, and about more blocks than it has.
        self.hypotheses.clear();
        self.targets.clear();
        self.paths.clear();
        self.curves.clear();
        true
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
