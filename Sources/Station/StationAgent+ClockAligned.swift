import Charging
import OCPP
import Service

/// Meter values at the same moments of the day on every station. OCPP 1.6 §4.7, §9.1.
extension StationAgent {
    /// How long after its moment a reading may begin: later, the clock was set or the board busy.
    private static let latestMilliseconds: Int64 = 2_000
    /// How long a meter may take to answer after that.
    private static let patienceMilliseconds: Int64 = 5_000

    func keepClockAligned() async {
        var last: Timestamp?
        while !Task.isCancelled {
            let interval = settings.int(.clockAlignedIntervalSeconds, else: 0)
            // Nobody waits for a moment of the day while none is wanted.
            let pause: Int64 = interval > 0 ? 250 : 1_000
            do { try await clock.sleep(milliseconds: pause) } catch { return }
            guard interval > 0 else {
                last = nil
                continue
            }
            let now = clock.now
            let moment = AlignedTime.before(now, everySeconds: interval)
            guard let before = last, moment != before else {
                last = moment
                continue
            }
            last = moment
            let late = now.milliseconds - moment.milliseconds
            guard late <= Self.latestMilliseconds else { continue }
            await readAligned(since: clock.monotonicMilliseconds - late)
        }
    }

    private func readAligned(since: Int64) async {
        await withTaskGroup { group in
            for connector in connectors {
                group.addTask { await self.readAligned(connector, since: since) }
            }
        }
    }

    /// A value from before the moment is none; a meter that does not answer gives none either.
    private func readAligned(_ connector: ConnectorController, since: Int64) async {
        let deadline = since + Self.patienceMilliseconds
        while clock.monotonicMilliseconds < deadline {
            let view = await connector.view()
            if let meter = view.meter, meter.askedAt >= since {
                return await tell(StoredSample(meter, .sampleClock), of: connector)
            }
            do { try await clock.sleep(milliseconds: 100) } catch { return }
        }
        log.info("no clock-aligned value", ["connector": connector.number])
    }

    private func tell(_ sample: StoredSample, of connector: ConnectorController) async {
        if let charge = await connector.charge() {
            do {
                try await journal.sample(sample, of: charge.id)
                wake.yield()
            } catch {
                log.warning("sample not kept", ["error": String(describing: error)])
            }
            return
        }
        // Outside a charge nothing is billed: what cannot be told now is not kept. OCPP 1.6 §3.7.
        let reading = sample.reading(of: settings.choices(.measurandsAligned))
        guard registration == .accepted, link != nil, !reading.samples.isEmpty else { return }
        _ = await call(
            .metered(
                MeterReport(connector: connector.number, transaction: nil, readings: [reading])))
    }
}
