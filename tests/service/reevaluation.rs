//! A higher revision of the rules: every customer is judged anew, and that is told while and when
//! it is done.
//!
//! Next: `src/task/reevaluation.rs`.

use crate::outputs::committed_changes;
use crate::program::{Application, metric};
use crate::workload::{ADVANCE_TO, Formats, Workload};

#[test]
fn a_re_evaluation_is_counted_to_its_end() {
    let application = Application::new("revisions", &["timers.per_round=1"]);
    let workload = Workload::new(31, 800);
    workload.produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    let before = committed_changes(&application).len();

    let next = ["rules.revision=2", "rfm.map=classic-11"];
    let mut program = application.with(&next).start(&[]);
    program.wait_until_ready();
    program.wait_for("the end of the re-evaluation", |program| {
        let tasks = program.tasks();
        let told = tasks.iter().filter(|task| !task["reevaluation"].is_null());
        for task in told.clone() {
            assert_eq!(task["reevaluation"]["revision"], 2, "{task}");
            let part = |name: &str| task["reevaluation"][name].as_u64().expect("a number");
            let customers = task["customers"].as_u64().expect("a number");
            assert_eq!(part("customers_done") + part("customers_left"), customers, "{task}");
        }
        let (_, metrics) = program.get("/metrics");
        let customers = metric(&metrics, "ebbflow_customers");
        let judged = metric(&metrics, "ebbflow_reevaluated_customers_total");
        assert!(judged <= customers, "{judged} of {customers}");
        let left = metric(&metrics, "ebbflow_reevaluation_customers_left");
        (told.count() == 0 && left == 0 && judged == customers && customers > 0).then_some(())
    });
    assert_eq!(program.get("/readyz"), (200, "ok\n".to_owned()));
    let changes = committed_changes(&application);
    let ruled = changes.iter().filter(|change| change["cause"]["kind"] == "rules");
    assert!(changes.len() > before && ruled.count() == changes.len() - before);
    assert_eq!(program.terminate().code(), Some(0));
}
