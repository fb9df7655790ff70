import Charging
import Service
import Station

extension EdgeSettings {
    private enum AfterPowerLoss: String, CaseIterable, Sendable { case close, resume }
    private static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// How charges start, when energy is offered, what becomes of a charge after a loss of power: the
    /// part of a connector's rules that only the file says. The OCPP keys are laid over it later.
    static func rules(_ file: ConfigSection, zone: LocalTimeRules) -> ConnectorRules {
        var rules = ConnectorRules()
        rules.freeVend = freeVend(file.section("freeVend", about: "charging without a token"))
        rules.schedule = schedule(
            file.section("offer", about: "when energy is offered"), zone: zone)
        let after: AfterPowerLoss = file.choice(
            "afterPowerLoss", default: .close,
            about: "close or resume a charge that was open when power or program ended")
        let within = file.int(
            "resumeWithinSeconds", default: 300, in: 1...86_400,
            about: "a longer outage closes the charge all the same")
        if after == .resume { rules.afterPowerLoss = .resume(withinSeconds: Int64(within)) }
        rules.wakesCar = file.bool(
            "wakeCar", default: false, about: "show a sleeping car X1 once per offer")
        rules.wakeAfterMilliseconds =
            1000
            * Int64(
                file.int(
                    "wakeAfterSeconds", default: 30, in: 10...3600,
                    about: "how long it may sleep before"))
        return rules
    }

    private static func freeVend(_ section: ConfigSection) -> ConnectorRules.FreeVend? {
        let isEnabled = section.bool(
            "enabled", default: false, about: "a charge starts by plugging in")
        let token = section.text(
            "token", default: "FREE", about: "under which it is told to the operator")
        let energy = section.intOrNil(
            "energyLimitWh", in: 1...Int(ChargeLimits.highestEnergy.value),
            about: "ends a free charge")
        let seconds = section.intOrNil(
            "timeLimitSeconds", in: 1...Int(ChargeLimits.longestSeconds),
            about: "ends a free charge")
        guard isEnabled, !section.isSchema else { return nil }
        if token.isEmpty || token.utf8.count > 20 || token.contains(where: \.isWhitespace) {
            section.problem("token", "an idTag has 1 to 20 characters without blanks")
        }
        return ConnectorRules.FreeVend(
            token: token,
            limits: ChargeLimits(
                energy: energy.map { WattHours(Int64($0)) }, seconds: seconds.map { Int64($0) }))
    }

    private static func schedule(
        _ section: ConfigSection, zone: LocalTimeRules
    ) -> OfferSchedule {
        let name = section.textOrNil(
            "timeZone", about: "IANA name, where the schedule's hours are not of `timeZone`")
        let windows = section.list(
            "schedule", atMost: 50, about: "windows in which energy is offered; none: always",
            window)
        guard !section.isSchema, !windows.isEmpty else { return .always }
        guard let name else { return OfferSchedule(windows: windows, zone: zone) }
        do {
            return OfferSchedule(
                windows: windows, zone: try LocalTimeRules(tzif: try ZoneInfo.load(name)))
        } catch {
            section.problem("timeZone", "\(error)")
            return .always
        }
    }

    private static func window(_ section: ConfigSection) -> OfferSchedule.Window {
        let names = section.texts(
            "days", default: days, about: "mon to sun: days on which the window begins")
        let from = section.text("from", about: "\"HH:MM\", local")
        let until = section.text(
            "until", about: "\"HH:MM\", up to 24:00; not after `from`: next day")
        guard !section.isSchema else { return OfferSchedule.Window(from: 0, until: 0) }
        for name in names where !days.contains(name) {
            section.problem("days", "`\(name)` is no day; give \(days.joined(separator: ", "))")
        }
        if names.isEmpty {
            section.problem("days", "no day at all; leave the key out for every day")
        }
        func minutes(_ key: String, _ text: String, upTo most: Int) -> Int {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ $0.count == 2 }), let hour = Int(parts[0]),
                let minute = Int(parts[1]), (0...59).contains(minute), hour >= 0,
                hour * 60 + minute <= most
            else {
                section.problem(key, "`\(text)` is no time of day; give it as \"22:00\"")
                return 0
            }
            return hour * 60 + minute
        }
        return OfferSchedule.Window(
            days: Set(names.compactMap { days.firstIndex(of: $0) }.map { $0 + 1 }),
            from: minutes("from", from, upTo: 1439), until: minutes("until", until, upTo: 1440))
    }
}
