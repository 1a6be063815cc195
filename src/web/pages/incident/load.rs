//! Loads what the page of an incident shows.

use uuid::Uuid;

use crate::context::Context;
use crate::domain::aggregation::Unit;
use crate::domain::recommendation::Recommendation;
use crate::entity;
use crate::executions::hook_of;
use crate::recommendations::of_incident;
use crate::store::audit::Action;
use crate::store::views::incident_list::Entry;
use crate::store::views::past::{self, Past};
use crate::store::views::{hourly_counts, lists, timeline};
use crate::store::{executions, notes, reopenings};
use crate::web::pages::stale::Silences;
use crate::web::pages::timeline::MoreFirings;
use crate::web::pages::{PageError, PageRequest, Pages, charts};
use crate::web::worth::{self, OfAnomaly};

/// Rows of the parts below.
const OCCURRENCES: u64 = 50;
const MESSAGES: u64 = 50;
const REPAIRS: u64 = 50;
const OTHERS: u64 = 12;
/// What strangers were refused.
const STRANGERS: u64 = 10;

/// What the page is made of.
pub(super) struct IncidentData {
    pub(super) entry: Entry,
    pub(super) occurrences: Vec<entity::occurrences::Model>,
    pub(super) messages: Vec<entity::notifications::Model>,
    pub(super) repairs: Vec<entity::repairs::Model>,
    pub(super) entries: Vec<entity::audit::Model>,
    pub(super) notes: Vec<entity::notes::Model>,
    pub(super) reopenings: Vec<entity::reopenings::Model>,
    pub(super) mutes: Vec<entity::audit::Model>,
    pub(super) others: Vec<entity::incidents::Model>,
    pub(super) hours: std::collections::HashMap<i64, i64>,
    pub(super) is_cut: bool,
    pub(super) more: MoreFirings,
    pub(super) silences: Silences,
    pub(super) worth: OfAnomaly,
    pub(super) past: Vec<Past>,
    pub(super) recommendation: Option<Recommendation>,
    pub(super) executions: Vec<entity::executions::Model>,
}

impl IncidentData {
    /// The recommendation, and the hook that runs its action.
    pub(super) fn runs<'a>(
        &'a self,
        context: &'a Context,
    ) -> Option<(&'a Recommendation, &'a str)> {
        let found = self.recommendation.as_ref()?;
        let (hook, _) = hook_of(context, &self.entry.1, found.tier)?;
        Some((found, hook))
    }
}

pub(super) async fn load(
    pages: &Pages,
    visit: &PageRequest,
    id: Uuid,
) -> Result<IncidentData, PageError> {
    let db = pages.context.db.view();
    let entry = lists::incident(db, id).await?.ok_or(PageError::NotFound)?;
    let (key, target, ids) = (entry.1.key.clone(), id.to_string(), [id]);
    let unit = pages.context.config.counting.unit;
    let alertmanager = pages.context.alertmanager.as_ref();
    let silences = async { Ok(Silences::of(alertmanager, &entry.0).await) };
    let both = async {
        let worth = worth::of_anomaly(&pages.context, &entry.1, visit.now);
        let recommended = of_incident(&pages.context, db, (&entry.0, &entry.1), visit.now);
        let executed = executions::of_incident(db, id);
        let noted = notes::of(db, id, MESSAGES);
        let strangers = timeline::entries_of(db, &target, &[Action::RefusePress], STRANGERS);
        tokio::try_join!(
            worth,
            past::before(db, &entry.0),
            recommended,
            executed,
            noted,
            strangers
        )
    };
    let (
        mut occurrences,
        messages,
        repairs,
        mut entries,
        reopenings,
        mutes,
        others,
        hours,
        silences,
        both,
    ) = tokio::try_join!(
        lists::occurrences(db, &entry.0, None, OCCURRENCES + 1),
        timeline::messages(db, id, MESSAGES),
        timeline::repairs(db, &key, REPAIRS),
        timeline::entries(db, &target, MESSAGES),
        reopenings::of(db, &ids, MESSAGES),
        timeline::entries_of(db, &key, &[Action::Mute, Action::Unmute], MESSAGES),
        timeline::incidents(db, &key, OTHERS),
        hourly_counts::since(db, unit, &key, charts::heat_from(visit.now)),
        silences,
        both,
    )?;
    let (worth, past, recommendation, executions, notes, strangers) = both;
    let more = more_firings(&entry.0, unit, &mut occurrences);
    let of_parts = [
        messages.len(),
        entries.len(),
        reopenings.len(),
        mutes.len(),
        notes.len(),
    ];
    let is_full = |rows: usize| rows as u64 >= MESSAGES;
    let is_cut = more != MoreFirings::None
        || of_parts.into_iter().any(is_full)
        || repairs.len() as u64 >= REPAIRS
        || strangers.len() as u64 >= STRANGERS;
    entries.extend(strangers);
    Ok(IncidentData {
        is_cut,
        more,
        entry,
        occurrences,
        messages,
        repairs,
        entries,
        notes,
        reopenings,
        mutes,
        others,
        hours,
        silences,
        worth,
        past,
        recommendation,
        executions,
    })
}

/// Takes away what was only looked for to know whether there is more; says how much.
fn more_firings(
    incident: &entity::incidents::Model,
    unit: Unit,
    found: &mut Vec<entity::occurrences::Model>,
) -> MoreFirings {
    let shown = usize::try_from(OCCURRENCES).unwrap_or(usize::MAX);
    if found.len() <= shown {
        return MoreFirings::None;
    }
    found.truncate(shown);
    let kept = incident.aggregated_count - incident.pruned_episodes;
    // Where deliveries count, they have rows of their own.
    match kept - i64::try_from(shown).unwrap_or(i64::MAX) {
        more if more > 0 && unit != Unit::Delivery => MoreFirings::Exactly(more),
        _ => MoreFirings::Some,
    }
}
