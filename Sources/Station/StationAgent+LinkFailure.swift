import Service

extension StationAgent {
    /// Of a reason so much is shown beside the status; the log has all of it.
    private static let longestReason = 200

    /// One line, without what would move a terminal's cursor.
    static func shown(_ reason: String) -> String {
        let line = reason.unicodeScalars.prefix(longestReason).map { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? " " : Character(scalar)
        }
        return String(line)
    }

    /// Until the next try to reach the operator; nil while one is under way or a link is there.
    var secondsToNextTry: Int64? {
        guard link == nil, let triesAt else { return nil }
        return max(0, triesAt - clock.monotonicMilliseconds + 999) / 1000
    }

    /// Says why there is no link. A certificate judged by a clock that nobody set is no news the
    /// second time: it is said once, with the clock, and then left to the log's readers of detail.
    func tell(linkFailure reason: String) {
        // A wrong authority is wrong at any time.
        let isAboutTime = reason.contains(text: "expired") || reason.contains(text: "not yet valid")
        guard isAboutTime, journal.trust == .untrusted else {
            log.warning("link not made", ["error": reason])
            return
        }
        guard !saidClockIsUntrusted else {
            log.debug("link not made", ["error": reason])
            return
        }
        saidClockIsUntrusted = true
        log.error(
            "certificate not judged, the clock is not trusted",
            [
                "clock": "\(clock.now)", "error": reason,
                "mend": "set the clock or give it a time server",
            ])
    }
}
