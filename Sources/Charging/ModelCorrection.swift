/// What a model of charger does otherwise than OCPP has it, and how it is put right before anything
/// is decided. Data of the operator's: a charger's word is changed only where a person said how.
package struct ModelCorrection: Hashable, Sendable {
    /// One measurand of a model.
    package struct Sample: Hashable, Sendable {
        package var measurand: Measurand
        /// What it really is; nil: what it says.
        package var readAs: Measurand?
        package var times: Decimal
        /// A phase is named, and the value is the sum of all.
        package var ignoresPhase: Bool

        package init(
            _ measurand: Measurand, readAs: Measurand? = nil, times: Decimal = Decimal(1),
            ignoresPhase: Bool = false
        ) {
            self.measurand = measurand
            self.readAs = readAs
            self.times = times
            self.ignoresPhase = ignoresPhase
        }
    }

    /// Where energy is told since the charge began, and not by the meter's lifetime register.
    package enum SessionRegister: String, Hashable, Sendable, CaseIterable {
        /// `meterStart` is 0, or anything: it is no proof of lost energy.
        case start
        case readings
        case stop
    }

    /// As the boot told them, in any case; a `*` at the end stands for any rest. nil: all.
    package var vendor: String?
    package var model: String?
    package var firmware: String?
    package var why: String
    package var samples: [Sample]
    /// For registers of start and stop, where they are told in another unit than Wh.
    package var registersTimes: Int64
    package var sessionRegister: Set<SessionRegister>
    /// From its last place on a tag says something else, like the serial of a satellite.
    package var tagSuffixFrom: String?
    /// Several chargers behind one id: connector 0 speaks for itself alone.
    package var isCluster: Bool

    package init(
        vendor: String? = nil, model: String? = nil, firmware: String? = nil, why: String = "",
        samples: [Sample] = [], registersTimes: Int64 = 1,
        sessionRegister: Set<SessionRegister> = [], tagSuffixFrom: String? = nil,
        isCluster: Bool = false
    ) {
        self.vendor = vendor
        self.model = model
        self.firmware = firmware
        self.why = why
        self.samples = samples
        self.registersTimes = registersTimes
        self.sessionRegister = sessionRegister
        self.tagSuffixFrom = tagSuffixFrom
        self.isCluster = isCluster
    }

    package func fits(_ identity: StationIdentity) -> Bool {
        Self.matches(vendor, identity.vendor) && Self.matches(model, identity.model)
            && (firmware == nil || Self.matches(firmware, identity.firmware ?? ""))
    }

    private static func matches(_ pattern: String?, _ text: String) -> Bool {
        guard let pattern = pattern?.lowercased() else { return true }
        let text = text.lowercased()
        return pattern.hasSuffix("*")
            ? text.hasPrefix(pattern.dropLast()) : text == pattern
    }

    // MARK: Events

    /// The event as it should have been told. What counts per charge needs the charge: see `since`.
    package func applied(to event: StationEvent) -> StationEvent {
        switch event {
        case .authorizing(let token): return .authorizing(token: tag(token))
        case .sessionStarted(var start):
            start.token = tag(start.token)
            start.meterStart = register(start.meterStart)
            return .sessionStarted(start)
        case .metered(var report):
            report.readings = report.readings.map(reading)
            return .metered(report)
        case .sessionStopped(var stop):
            stop.token = stop.token.map(tag)
            stop.meterStop = register(stop.meterStop)
            stop.readings = stop.readings.map(reading)
            return .sessionStopped(stop)
        case .booted, .alive, .statusChanged, .data, .maintenance, .foreign: return event
        }
    }

    /// Readings that count since the charge began, as the meter's register has them.
    package func since(_ start: WattHours, _ readings: [MeterReading]) -> [MeterReading] {
        guard sessionRegister.contains(.readings) else { return readings }
        return readings.map { reading in
            var reading = reading
            // Phases add up: the start is added once.
            let first = reading.samples.firstIndex {
                $0.quantity == .known(.energyImport) && $0.signed == nil
                    && Self.isModerate($0.value)
            }
            if let first {
                reading.samples[first].value = reading.samples[first].value + Decimal(start.value)
            }
            return reading
        }
    }

    /// A stop's register that counts since the charge began.
    package func since(_ start: WattHours, _ stop: WattHours) -> WattHours {
        guard sessionRegister.contains(.stop) else { return stop }
        let (sum, overflow) = start.value.addingReportingOverflow(stop.value)
        return overflow ? stop : WattHours(sum)
    }

    private func tag(_ token: String) -> String {
        guard let mark = tagSuffixFrom, !mark.isEmpty else { return token }
        let (bytes, wanted) = (Array(token.utf8), Array(mark.utf8))
        var at = bytes.count - wanted.count
        // A tag that is nothing but its suffix stays.
        while at > 0 {
            if bytes[at..<(at + wanted.count)].elementsEqual(wanted) {
                return String(decoding: bytes[..<at], as: UTF8.self)
            }
            at -= 1
        }
        return token
    }

    private func register(_ register: WattHours) -> WattHours {
        let (product, overflow) = register.value.multipliedReportingOverflow(by: registersTimes)
        return overflow ? register : WattHours(product)
    }

    private func reading(_ reading: MeterReading) -> MeterReading {
        guard !samples.isEmpty else { return reading }
        var reading = reading
        for index in reading.samples.indices {
            let sample = reading.samples[index]
            // A signed record is kept as it came, whatever it says.
            guard case .known(let measurand) = sample.quantity, sample.signed == nil,
                let rule = samples.first(where: { $0.measurand == measurand })
            else { continue }
            reading.samples[index].quantity = .known(rule.readAs ?? measurand)
            if Self.isModerate(sample.value) {
                reading.samples[index].value = sample.value * rule.times
            }
            if rule.ignoresPhase { reading.samples[index].phase = nil }
        }
        return reading
    }

    /// No meter has more digits, and arithmetic has an end that a peer must not reach.
    private static func isModerate(_ value: Decimal) -> Bool {
        value.scale <= 12 && value.significand.magnitude < 1_000_000_000_000_000_000
    }
}

extension [ModelCorrection] {
    /// The first that fits, as its file has them.
    package func first(for identity: StationIdentity?) -> ModelCorrection? {
        identity.flatMap { identity in first { $0.fits(identity) } }
    }
}
