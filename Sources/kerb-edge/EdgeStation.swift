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
    let smartCharging: SmartCharging
    let clock: BoardClock
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
        let memory = try await Memory(journal, settings, log)
        let keys = StationSettings(
            catalogue: dialect.settings, defaults: defaults(settings),
            written: memory.written, rules: settings.rules)
        // One thread for all decisions, apart from the pool that serves disk and network.
        let control = ThreadExecutor(name: "control")
        if await !Task(executorPreference: control, operation: { RealTime.deciding.take() }).value {
            log.warning(
                "no real-time priority: on a busy board a contactor may open late",
                ["mend": "LimitRTPRIO=50 in the unit"])
        }
        var polls = PollIntervals()
        polls.meter = Int64(settings.meterPollMilliseconds)
        let recorder = EventRecorder(clock: clock)
        var controllers: [ConnectorController] = []
        for outlet in cabinet.outlets {
            let machine = memory.machine(
                of: outlet, keys.connectorRules,
                at: Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now), log)
            let controller = ConnectorController(
                machine: machine, devices: outlet.devices, journal: journal, executor: control,
                polls: polls, outlet: "\(settings.stationID)*\(outlet.connector)",
                clock: ExecutorClock(clock, on: control), log: log)
            await controller.record(into: recorder)
            controllers.append(controller)
        }
        let smartCharging = SmartCharging(
            settings.smartCharging(cabinet.outlets), controllers: controllers, journal: journal,
            executor: control, meter: try cabinet.siteMeter(settings),
            readLimit: settings.limitSource,
            group: try settings.openGroup(), clock: clock, log: log)
        // Before any charge can start each outlet has its limit.
        try await smartCharging.load()
        let (endings, end) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingOldest(1))
        let upkeep = try await upkeep(
            settings, keys, journal, password: password,
            bundle: bundling(settings, values, keys, recentLog), clock: clock, log: log)
        var wishes = configuration(settings, dialect, upkeep, clock, end)
        wishes.smartCharging = smartCharging
        let agent = StationAgent(
            wishes, connectors: controllers,
            journal: journal, settings: keys, isStationOperative: memory.availability[0] ?? true,
            clock: clock,
            log: log)
        // Before any charge can start each connector knows for whom it is kept.
        await agent.load()
        return EdgeStation(
            settings: settings, controllers: controllers, smartCharging: smartCharging,
            clock: clock, agent: agent, readers: readers(settings),
            blackBox: BlackBox(
                folder: settings.blackBoxFolder, controllers: controllers, recorder: recorder,
                clock: clock, log: log, recentLog: recentLog), keys: keys, recentLog: recentLog,
            log: log, endings: endings, end: end)
    }

    private static func defaults(_ settings: EdgeSettings) -> [StationSettings.Meaning: String] {
        [
            .connectorCount: String(settings.evses.count),
            .phaseRotation: StationSettings.rotation(
                phases: settings.phases,
                wiring: Dictionary(
                    settings.evses.map { ($0.connector, $0.wiring) },
                    uniquingKeysWith: { first, _ in first })),
            .maximumKeysPerRead: "100",
            .profileStackLevel: String(ProfileLimits.stackLevel),
            .profileUnits: "Current,Power",
            .profilePeriods: String(ProfileLimits.periods),
            .profileCount: String(ProfileLimits.installed),
            .switchesPhases: "false",
            .supportedProfiles: "Core,FirmwareManagement,RemoteTrigger,LocalAuthListManagement,"
                + "Reservation,SmartCharging",
            .securityProfile: String(settings.csms.securityProfile),
            .basicAuthPassword: "", .operatorName: "",
            .transferProtocols: settings.upkeep.protocols,
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
            evse.tokenReader.map {
                (
                    Optional(evse.connector),
                    LineTokenReader(path: $0, baud: settings.tokenReaderBaud)
                )
            }
        }
        let shared = settings.tokenReader.map {
            LineTokenReader(path: $0, baud: settings.tokenReaderBaud)
        }
        return (shared.map { [(nil, $0)] } ?? []) + own
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
            group.addTask {
                await smartCharging.run()
                return nil
            }
            for (connector, reader) in readers {
                group.addTask {
                    await agent.present(tokensOf: reader.tokens, at: connector)
                    return nil
                }
            }
            group.addTask {
                await answerAll(socket)
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
            group.addTask { await self.signalled(by: signals) }
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

    private func signalled(by signals: AsyncStream<Signal>) async -> String? {
        for await signal in signals {
            switch signal {
            case .terminate: return "SIGTERM"
            case .interrupt: return "SIGINT"
            case .reload: log.warning("reload is a restart here: systemctl restart kerb-edge")
            }
        }
        return nil
    }

    /// Tells systemd that decisions are still made: only when every connector answered and the fuse
    /// is shared.
    private func feed(_ systemd: SystemdNotifier) async {
        guard let pause = systemd.watchdogMilliseconds else { return }
        var saidItHangs = false
        while !Task.isCancelled {
            for controller in controllers { _ = await controller.view() }
            if await smartCharging.isAlive {
                systemd.watchdog()
                saidItHangs = false
            } else if !saidItHangs {
                log.error("nobody shares the fuse any more, the watchdog is not fed")
                saidItHangs = true
            }
            do { try await SystemClock().sleep(milliseconds: pause) } catch { return }
        }
    }
}
