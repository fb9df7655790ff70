import Service

extension StationAgent {
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
