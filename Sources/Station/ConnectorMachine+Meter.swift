import Charging
import HAL

// What a meter's reading does: it is believed as far as the outlet could have given it.
extension ConnectorMachine {
    mutating func absorbMeter(
        _ read: MeterSnapshot, _ now: Instant, _ effects: inout Effects
    ) {
        let snapshot = doubted(read)
        if let last = meter, snapshot.askedAt < last.askedAt { return }
        guard let floor = transaction?.lastRegister ?? meter?.register else {
            meter = snapshot
            return
        }
        // A register that falls or leaps is never billed from: the last good one stands, a person
        // looks. Between transactions a lower register is a meter that was changed.
        if let found = transaction, found.isRecovered, snapshot.register >= floor {
            switch judge(snapshot, of: found, now) {
            case nil: return  // Not before the time is known.
            case true?: break
            case false?:
                if !latched.contains(.meterAbsurd) {
                    effects.others.append(
                        .report(
                            .registerRefused(kept: found.registerKept, shown: snapshot.register)))
                }
                latch(.meterAbsurd, &effects)
                return
            }
        } else if transaction != nil, !isPlausible(snapshot, after: floor) {
            latch(.meterAbsurd, &effects)
            return
        }
        meter = snapshot
        checkOverCurrent(snapshot, now, &effects)
        checkSupply(snapshot)
        guard var running = transaction else { return }
        running.lastRegister = snapshot.register
        if running.phase == .running, let id = running.id {
            keepRegister(of: &running, id, snapshot, now, &effects)
            watchRegister(of: &running, snapshot, &effects)
        }
        transaction = running
    }

    /// A reading under the closed contactor that tells of energy flowing back.
    private func doubted(_ read: MeterSnapshot) -> MeterSnapshot {
        guard let power = feedBack(read) else { return read }
        var snapshot = read
        let why = Self.feedsBack(power)
        if case .suspect(let others) = read.quality {
            snapshot.quality = .suspect("\(others); \(why)")
        } else {
            snapshot.quality = .suspect(why)
        }
        return snapshot
    }

    private func feedBack(_ snapshot: MeterSnapshot) -> Watts? {
        guard contactor.isClosed, let power = snapshot.power,
            power.value < -ConnectorBounds.feedBackWatts
        else { return nil }
        return power
    }

    private static func feedsBack(_ power: Watts) -> String {
        "power is \(power.value) W, though no car feeds back here: is the meter wired the other way round?"
    }

    /// Says once a charge what is doubted, and ends a charge whose register does not count what flows.
    /// What it counted is billed, and nothing else: nobody knows the rest.
    private mutating func watchRegister(
        of running: inout Transaction, _ snapshot: MeterSnapshot, _ effects: inout Effects
    ) {
        if let power = feedBack(snapshot), running.concerns.insert(.feedsBack).inserted {
            effects.others.append(.report(.meterDoubted(.feedsBack, why: Self.feedsBack(power))))
        }
        if let doubt = snapshot.registerDoubt, running.concerns.insert(.register).inserted {
            effects.others.append(.report(.meterDoubted(.register, why: "register \(doubt)")))
        }
        if let found = running.watch.take(snapshot), running.concerns.insert(.standsStill).inserted
        {
            let why =
                "register grew by \(found.grew) where \(found.expected) flowed, "
                + "\(RegisterWatch.windowsBeforeEnd) times in a row; the charge ends"
            effects.others.append(.report(.meterDoubted(.standsStill, why: why)))
            latch(.meterAbsurd, &effects)
        }
    }

    /// No fall, and no more than the rated power could have delivered since, by 10 % and 1 kWh.
    private func isPlausible(_ snapshot: MeterSnapshot, after last: WattHours) -> Bool {
        guard snapshot.register >= last else { return false }
        guard let meter else { return true }
        return snapshot.register - last
            <= mostEnergy(inMilliseconds: max(1_000, snapshot.askedAt - meter.askedAt))
    }

    /// Whether a charge found open can have drawn this since its register was kept: until the dead-man
    /// opened, or until this program did where there is none. A meter that was exchanged meanwhile, or
    /// a journal that was restored, shows more, and that is nobody's energy. Within one boot all of the time
    /// since counts: a disk that failed may have kept an old register while the charge went on.
    ///
    /// - Returns: nil while that rests on a wall clock that nobody has set yet.
    private func judge(
        _ snapshot: MeterSnapshot, of found: Transaction, _ now: Instant
    ) -> Bool? {
        let rise = snapshot.register - found.registerKept
        let lags = ConnectorTimings.registerLags
        if rise <= mostEnergy(inMilliseconds: lags) { return true }
        if let alive = found.aliveMilliseconds {
            return rise <= mostEnergy(inMilliseconds: lags + max(0, bootedAt - alive))
        }
        guard found.isUnguarded, let alive = found.stoppedAt else { return false }
        guard isClockTrusted else { return nil }
        let away = now.wall.milliseconds(since: alive) - now.since(bootedAt)
        return rise <= mostEnergy(inMilliseconds: lags + max(0, away))
    }

    /// The most the rated power can deliver in a time, by 10 % and 1 kWh.
    func mostEnergy(inMilliseconds milliseconds: Int64) -> WattHours {
        // 300 V is above every mains tolerance; the product is in Wh after the division.
        let watts = board.maximum.milliamperes * Int64(board.phases) * 300 / 1000
        return WattHours(watts * (milliseconds / 1000) * 11 / 36_000 + 1_000)
    }

    private mutating func checkOverCurrent(
        _ snapshot: MeterSnapshot, _ now: Instant, _ effects: inout Effects
    ) {
        let most = mostOffered(now).milliamperes * 11 / 10 + 500
        guard contactor.isClosed,
            snapshot.currents.contains(where: { $0.magnitude.milliamperes > most })
        else {
            overCurrentSince = nil
            return
        }
        let since = overCurrentSince ?? now.milliseconds
        overCurrentSince = since
        if now.since(since) >= ConnectorTimings.overCurrentLasts { latch(.overCurrent, &effects) }
    }

    /// The highest offer that a car may still follow: it has its time for a lower one before it can
    /// be blamed. However often the offer changes, what draws more than all of them is blamed.
    private func mostOffered(_ now: Instant) -> Amperes {
        var most = available
        if case .pwm(let offered) = signal { most = offered }
        for former in formerOffers
        where now.since(former.until) < ConnectorTimings.betweenDutyChanges {
            most = max(most, former.amperes)
        }
        return most
    }

    private func keepRegister(
        of running: inout Transaction, _ id: Int64, _ snapshot: MeterSnapshot, _ now: Instant,
        _ effects: inout Effects
    ) {
        if snapshot.register != running.registerKept
            || now.since(running.registerKeptAt) >= 4 * ConnectorTimings.registerIsKept,
            now.since(running.registerKeptAt) >= ConnectorTimings.registerIsKept
        {
            running.registerKept = snapshot.register
            running.registerKeptAt = now.milliseconds
            effects.journal.append(
                .register(transaction: id, snapshot.register, at: snapshot.at))
        }
        let interval = rules.sampleIntervalMilliseconds
        if interval > 0, now.since(running.lastSample) >= interval {
            running.lastSample = now.milliseconds
            effects.journal.append(.sample(transaction: id, snapshot, .samplePeriodic))
        }
    }
}
