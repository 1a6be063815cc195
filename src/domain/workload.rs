//! Kubernetes' names without what it adds to them: pods and runs of jobs by what they belong to.

use std::ops::RangeInclusive;

/// What Kubernetes draws random suffixes and hashes from: no vowels, and no digits that look like some.
/// (`k8s.io/apimachinery/pkg/util/rand`)
const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Words of five such letters that people end names with.
const WORDS: [&str; 3] = ["https", "mssql", "pgsql"];
/// The length of a random suffix.
const SUFFIX: RangeInclusive<usize> = 5..=5;
/// The lengths of a ReplicaSet's hash: a number of 32 bits in decimal, in other letters.
const HASH: RangeInclusive<usize> = 7..=10;
/// The fewest digits of the time that a CronJob names its runs by: minutes since 1970, or seconds.
const TIME: usize = 8;
/// The most digits of a StatefulSet's pod number.
const ORDINAL: usize = 4;

/// The value of a label that names a service: that of `pod` and of `job_name` by what they belong to, so
/// that ten pods of a deployment are one service, and each night's run is the same job.
#[must_use]
pub fn named<'a>(label: &str, value: &'a str) -> &'a str {
    let name = match label {
        "pod" => of_pod(value),
        "job_name" => of_run(value),
        _ => value,
    };
    if name.is_empty() { value } else { name }
}

/// What a pod belongs to: a Deployment (`api-6c9f7d8b5c-x2x7z`), a DaemonSet (`agent-x2x7z`), a CronJob
/// (`backup-28712340-x2x7z`), a StatefulSet (`db-0`); what it is called itself, if it looks like none.
#[must_use]
pub fn of_pod(pod: &str) -> &str {
    let Some((owner, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if is_random(last, SUFFIX) {
        return match owner.rsplit_once('-') {
            Some((deployment, hash)) if is_random(hash, HASH) => deployment,
            Some((cronjob, time)) if is_number(time) && time.len() >= TIME => cronjob,
            _ => owner,
        };
    }
    if is_number(last) && last.len() <= ORDINAL {
        return owner;
    }
    pod
}

/// Whose run this job is: `backup` of `backup-28712340` and of `backup-x7x2q`.
#[must_use]
pub fn of_run(job: &str) -> &str {
    match job.rsplit_once('-') {
        Some((name, last)) if is_random(last, SUFFIX) => name,
        Some((name, last)) if is_number(last) && last.len() >= TIME => name,
        _ => job,
    }
}

fn is_random(text: &str, lengths: RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len())
        && text.bytes().all(|byte| RANDOM.contains(&byte))
        && !WORDS.contains(&text)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_runs_are_named_by_what_they_belong_to() {
        for (label, value, expected) in [
            ("pod", "api-6c9f7d8b5c-x2x7z", "api"),
            ("pod", "shop-api-5d4b6f7c9-bcdfg", "shop-api"),
            ("pod", "node-exporter-x2x7z", "node-exporter"),
            ("pod", "backup-28712340-x2x7z", "backup"),
            ("pod", "db-0", "db"),
            ("pod", "prometheus-k8s-12", "prometheus-k8s"),
            ("pod", "migrate-x2x7z", "migrate"),
            // What only looks a little like one of these stays as it is.
            ("pod", "api", "api"),
            ("pod", "api-blue", "api-blue"),
            ("pod", "kube-proxy-worker", "kube-proxy-worker"),
            ("pod", "report-20261128", "report-20261128"),
            ("pod", "check-https", "check-https"),
            ("pod", "-x2x7z", "-x2x7z"),
            ("pod", "", ""),
            ("job_name", "backup-28712340", "backup"),
            ("job_name", "backup-1722740400", "backup"),
            ("job_name", "backup-x7x2q", "backup"),
            ("job_name", "backup-2026", "backup-2026"),
            ("job_name", "migrate-pgsql", "migrate-pgsql"),
            ("job_name", "nightly-report", "nightly-report"),
            ("job_name", "-28712340", "-28712340"),
            ("deployment", "api-x2x7z", "api-x2x7z"),
        ] {
            assert_eq!(named(label, value), expected, "{label}={value}");
        }
    }
}
