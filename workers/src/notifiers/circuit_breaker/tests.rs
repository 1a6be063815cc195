//! Receivers that ask to wait, or are broken, and when they are tried again.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn of_two() -> Arc<Receiver> {
    Arc::new(Receiver::new(10 * SECOND, 2))
}

/// How long a message must wait, if it must; one that need not is done at once.
fn waits(circuit_breaker: &CircuitBreaker, now: Instant) -> Option<Duration> {
    circuit_breaker.take(now).err()
}

#[test]
fn retry_after_pauses_only_its_channel() {
    let (receiver, start) = (of_two(), Instant::now());
    let (circuit_breaker, other) = (
        CircuitBreaker::with(Arc::clone(&receiver)),
        CircuitBreaker::with(receiver),
    );
    assert_eq!(waits(&circuit_breaker, start), None);
    circuit_breaker.wait(start, 7 * SECOND);
    circuit_breaker.wait(start + SECOND, 2 * SECOND);
    circuit_breaker.answered();
    assert_eq!(
        waits(&circuit_breaker, start + 3 * SECOND),
        Some(4 * SECOND)
    );
    assert_eq!(waits(&other, start + 3 * SECOND), None);
    assert_eq!(waits(&circuit_breaker, start + 7 * SECOND), None);
    assert_eq!(waits(&circuit_breaker, start + 7 * SECOND), None);
}

#[test]
fn no_more_than_its_places_are_on_their_way_to_a_receiver() -> Result<(), Duration> {
    let (receiver, start) = (of_two(), Instant::now());
    let (one, other) = (
        CircuitBreaker::with(Arc::clone(&receiver)),
        CircuitBreaker::with(receiver),
    );
    let (first, second) = (one.take(start)?, other.take(start)?);
    assert_eq!(waits(&one, start), Some(BUSY));
    assert_eq!(other.left_alone(start), Some(BUSY));
    drop(first);
    assert_eq!(one.left_alone(start), None, "to ask takes no place");
    assert_eq!(waits(&one, start), None);
    let third = other.take(start)?;
    assert_eq!(waits(&one, start), Some(BUSY));
    drop((second, third));
    Ok(())
}

#[test]
fn a_silent_one_is_tried_by_one_message_at_a_time() -> Result<(), Duration> {
    let (circuit_breaker, start) = (CircuitBreaker::with(of_two()), Instant::now());
    circuit_breaker.unanswered(start);
    assert_eq!(waits(&circuit_breaker, start), Some(10 * SECOND));
    let later = start + 10 * SECOND;
    let probe = circuit_breaker.take(later)?;
    assert_eq!(
        waits(&circuit_breaker, later + SECOND),
        Some(10 * SECOND + APART)
    );
    drop(probe);
    // It was not sent after all, so the next one finds it out.
    assert_eq!(waits(&circuit_breaker, later + SECOND), None);
    circuit_breaker.answered();
    let (one, two) = (circuit_breaker.take(later)?, circuit_breaker.take(later)?);
    drop((one, two));
    Ok(())
}

#[test]
fn one_that_many_in_a_row_could_not_be_brought_to_is_silent() -> Result<(), Duration> {
    let (circuit_breaker, start) = (CircuitBreaker::with(of_two()), Instant::now());
    let breaks = |times| (0..times).for_each(|_| circuit_breaker.broken(start));
    breaks(BROKEN - 1);
    assert_eq!(waits(&circuit_breaker, start), None);
    circuit_breaker.answered();
    breaks(BROKEN - 1);
    assert_eq!(waits(&circuit_breaker, start), None);
    breaks(1);
    assert_eq!(waits(&circuit_breaker, start), Some(BREATH));
    let probe = circuit_breaker.take(start + BREATH)?;
    assert_eq!(
        waits(&circuit_breaker, start + BREATH),
        Some(10 * SECOND + APART)
    );
    circuit_breaker.answered();
    assert_eq!(waits(&circuit_breaker, start + BREATH), None);
    drop(probe);
    Ok(())
}

#[test]
fn one_that_fails_and_hangs_by_turns_is_tried_by_one_message_at_a_time() -> Result<(), Duration> {
    let (circuit_breaker, start) = (CircuitBreaker::with(of_two()), Instant::now());
    circuit_breaker.unanswered(start);
    let mut now = start + 10 * SECOND;
    for _ in 0..3 {
        let probe = circuit_breaker.take(now)?;
        circuit_breaker.broken(now);
        drop(probe);
        assert!(waits(&circuit_breaker, now) >= Some(BREATH), "it failed");
        now += BREATH;
        let probe = circuit_breaker.take(now)?;
        assert!(waits(&circuit_breaker, now).is_some(), "one at a time");
        circuit_breaker.unanswered(now);
        drop(probe);
        assert!(waits(&circuit_breaker, now) >= Some(10 * SECOND), "it hung");
        now += 10 * SECOND;
    }
    circuit_breaker.answered();
    let (one, two) = (circuit_breaker.take(now)?, circuit_breaker.take(now)?);
    drop((one, two));
    Ok(())
}

#[test]
fn messages_for_an_unresponsive_receiver_retry_one_at_a_time() {
    let (circuit_breaker, start) = (CircuitBreaker::with(of_two()), Instant::now());
    circuit_breaker.unanswered(start);
    let waits: Vec<_> = (0..3).map(|_| waits(&circuit_breaker, start)).collect();
    let wait = |n: u32| Some(10 * SECOND + n * APART);
    assert_eq!(waits, [wait(0), wait(1), wait(2)]);
    let longest = (0..30_000)
        .filter_map(|_| circuit_breaker.left_alone(start))
        .max();
    assert_eq!(longest, Some(LONGEST));
    circuit_breaker.answered();
    assert_eq!(circuit_breaker.left_alone(start), None);
}
