import Charging
import Glibc
import HAL
import JSON
import LinuxHAL
import OCPP
import OCPP16
import Service
import Station
import Web

/// The running parts of one agent, put together.
struct EdgeStation: Sendable {
    let settings: EdgeSettings
    let controllers: [ConnectorController]
    let agent: StationAgent
    let readers: [(ConnectorNumber?, LineTokenReader)]
    let blackBox: BlackBox
    let keys: StationSettings
    let recentLog: @Sendable () -> [String]
    let log: Log
    private let endings: AsyncStream<String>
    private let end: AsyncStream<String>.Continuation

    static func make(
        _ settings: EdgeSettings, cabinet: Cabinet, journal: BoardJournal, password: [UInt8]?,
        values: [ConfigSetting], clock: BoardClock, log: Log,
        recentLog: @escaping @Sendable () -> [String]
    ) async throws -> EdgeStation {
        let dialect = OCPP16Dialect()
        let keys = StationSettings(
            catalogue: dialect.settings, defaults: defaults(settings),
            written: try await journal.settings())
        let recovered = try await journal.recovered()
        let orphans = try await journal.closeOrphans(connectors: settings.evses.map(\.connector))
        if orphans > 0 { log.warning("charges without connector closed", ["count": orphans]) }
        let latched = try await journal.latchedFaults()
        let availability = try await journal.availability()
        // One thread for all decisions, apart from the pool that serves disk and network.
        let control = ThreadExecutor(name: "control")
        var polls = PollIntervals()
        polls.meter = Int64(settings.meterPollMilliseconds)
        let recorder = EventRecorder(clock: clock)
        var controllers: [ConnectorController] = []
        for outlet in cabinet.outlets {
            let number = outlet.connector
            if let open = recovered[number] {
                log.notice(
                    "charge found open",
                    [
                        "connector": number, "charge": open.transaction,
                        "registerWh": open.lastRegister.value, "reason": open.reason.rawValue,
                    ])
            }
            let machine = ConnectorMachine(
                number: number, board: outlet.capabilities, rules: keys.connectorRules,
                isOperative: availability[number] ?? true, latched: latched[number] ?? [],
                recovering: recovered[number],
                at: Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now))
            let controller = ConnectorController(
                machine: machine, devices: outlet.devices, journal: journal, executor: control,
                polls: polls, outlet: "\(settings.stationID)*\(number)", clock: clock, log: log)
            await controller.record(into: recorder)
            await controller.take(.limit(.site, settings.share))
            controllers.append(controller)
        }
        let (endings, end) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingOldest(1))
        let upkeep = try await upkeep(
            settings, keys, journal, password: password,
            bundle: bundling(settings, values, keys, recentLog), clock: clock, log: log)
        let agent = StationAgent(
            configuration(settings, dialect, upkeep, clock, end), connectors: controllers,
            journal: journal, settings: keys, isStationOperative: availability[0] ?? true,
            clock: clock,
            log: log)
        return EdgeStation(
            settings: settings, controllers: controllers, agent: agent, readers: readers(settings),
            blackBox: BlackBox(
                folder: settings.blackBoxFolder, controllers: controllers, recorder: recorder,
                clock: clock, log: log, recentLog: recentLog), keys: keys, recentLog: recentLog,
            log: log, endings: endings, end: end)
    }

    private static func defaults(_ settings: EdgeSettings) -> [StationSettings.Meaning: String] {
        [
            .connectorCount: String(settings.evses.count),
            .maximumKeysPerRead: "100",
            .supportedProfiles: "Core,FirmwareManagement,RemoteTrigger",
            .securityProfile: String(settings.csms.securityProfile),
            .basicAuthPassword: "", .operatorName: "",
            .additionalRootCheck: String(settings.csms.additionalRootCheck),
            .certificateChainCharacters: String(RootStore.Limits().chainCharacters),
            .certificateStoreCount: String(RootStore.Limits().certificates),
            .meterSampleIntervalSeconds: String(settings.meterSampleIntervalSeconds),
            .measurandsSampled: settings.meterValues.joined(separator: ","),
            .connectionTimeoutSeconds: String(settings.connectionTimeoutSeconds),
            .authorizeRemoteStart: String(settings.authorizeRemoteStart),
            .allowOfflineTransactionForUnknownToken: String(settings.allowUnknownTokensOffline),
        ]
    }

    private static func configuration(
        _ settings: EdgeSettings, _ dialect: OCPP16Dialect, _ upkeep: StationUpkeep,
        _ clock: BoardClock, _ end: AsyncStream<String>.Continuation
    ) -> StationAgent.Configuration {
        var configuration = StationAgent.Configuration(
            stationID: settings.stationID,
            identity: StationIdentity(
                vendor: settings.vendor, model: settings.model, serial: settings.serial,
                firmware: Program.version),
            dialect: dialect,
            connect: { try await connect($0, settings, upkeep) },
            restart: { kind in end.yield("reset \(kind.rawValue)") })
        configuration.correctClock = { clock.correct(to: $0) }
        configuration.upkeep = upkeep
        return configuration
    }

    static func linkURL(_ settings: EdgeSettings) -> String {
        let base = settings.csms.url.hasSuffix("/") ? settings.csms.url : settings.csms.url + "/"
        return base + escaped(settings.stationID)
    }

    /// Percent-encodes what an identity may hold and a path may not.
    private static func escaped(_ id: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in id.utf8 {
            let character = Character(UnicodeScalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~*".contains(character)
            {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func readers(
        _ settings: EdgeSettings
    ) -> [(ConnectorNumber?, LineTokenReader)] {
        let own = settings.evses.compactMap { evse in
            evse.tokenReader.map { (Optional(evse.connector), LineTokenReader(path: $0)) }
        }
        return (settings.tokenReader.map { [(nil, LineTokenReader(path: $0))] } ?? []) + own
    }

    // MARK: Running

    /// Runs until a signal or the operator ends it; then opens every contactor in order.
    func run(until signals: AsyncStream<Signal>, socket: StatusSocket) async -> String {
        let systemd = SystemdNotifier()
        return await withTaskGroup(of: String?.self) { group in
            for controller in controllers {
                group.addTask {
                    await controller.run()
                    return nil
                }
            }
            group.addTask {
                await agent.run()
                return nil
            }
            for (connector, reader) in readers {
                group.addTask {
                    for await token in reader.tokens {
                        await agent.present(token: token, at: connector)
                    }
                    return nil
                }
            }
            group.addTask {
                for await question in socket.questions { await answer(question) }
                return nil
            }
            group.addTask {
                await blackBox.run()
                return nil
            }
            if let page {
                group.addTask {
                    await page.run()
                    return nil
                }
            }
            group.addTask {
                await feed(systemd)
                return nil
            }
            group.addTask {
                for await signal in signals {
                    switch signal {
                    case .terminate: return "SIGTERM"
                    case .interrupt: return "SIGINT"
                    case .reload:
                        log.warning("reload is a restart here: systemctl restart kerb-edge")
                    }
                }
                return nil
            }
            group.addTask {
                for await ending in endings { return ending }
                return nil
            }
            systemd.ready()
            var ending = "all parts ended"
            for await word in group {
                if let word {
                    ending = word
                    break
                }
            }
            systemd.stopping()
            if !ending.hasPrefix("reset") { await agent.stopAll(.reboot) }
            group.cancelAll()
            return ending
        }
    }

    /// Tells systemd that decisions are still made: only when every connector answered.
    private func feed(_ systemd: SystemdNotifier) async {
        guard let pause = systemd.watchdogMilliseconds else { return }
        while !Task.isCancelled {
            for controller in controllers { _ = await controller.view() }
            systemd.watchdog()
            do { try await SystemClock().sleep(milliseconds: pause) } catch { return }
        }
    }

    /// One line of the local socket: `status`, `settings`, `log`, `token UID [N]`, `clear N`.
    private func answer(_ question: StatusSocket.Question) async {
        let words = question.line.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("status", 1):
            question.answer(await agent.view().json.text)
        case ("settings", 1): question.answer(keysInForce.text)
        case ("log", 1):
            let lines = recentLog().map(JSONValue.string)
            question.answer(JSONValue.members(["lines": .array(lines)]).text)
        case ("blackbox", 1):
            let entries = blackBox.recorder.entries.suffix(4000)
            question.answer(JSONValue.array(entries.map(\.json)).text)
        case ("token", 2...3) where LineTokenReader.isToken(words[1]):
            await agent.present(token: words[1], at: words.count == 3 ? Int(words[2]) : nil)
            question.answer("{\"done\":\"token shown\"}")
        case ("clear", 2) where words[1] == "security-log":
            question.answer(await agent.clearSecurityLog())
        case ("clear", 2) where words[1] == "journal":
            await clearNotices(question)
        case ("clear", 2):
            guard let controller = controllers.first(where: { String($0.number) == words[1] })
            else {
                question.answer("{\"error\":\"no such connector\"}")
                return
            }
            await controller.take(.latchedFaultsCleared)
            log.notice("latched faults cleared", ["connector": controller.number])
            question.answer("{\"done\":\"cleared\"}")
        default:
            question.answer("{\"error\":\"ask status, settings, log, token UID [N] or clear N\"}")
        }
    }

    private func clearNotices(_ question: StatusSocket.Question) async {
        do {
            try await agent.clearJournalNotices()
            question.answer("{\"done\":\"cleared\"}")
        } catch {
            question.answer("{\"error\":\"the journal cannot be written\"}")
        }
    }
}
