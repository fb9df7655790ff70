import Charging
import HAL
import OCPP
import OCPP16
import Service
import TestSupport

@testable import Station

/// A whole station in the process: board, controller, journal on disk, agent; links as a test
/// hands them out.
struct TestStation {
    let boards: [TestBoard]
    let controllers: [ConnectorController]
    let agent: StationAgent
    let journal: BoardJournal
    let links: AsyncStream<TestOperator>.Continuation
    /// How often the program was asked to end.
    let resets: Lock<Int>

    var board: TestBoard { boards[0] }
    var controller: ConnectorController { controllers[0] }
    var smartCharging: SmartCharging?

    struct NoLink: Error {}

    static func make(
        board: TestBoard = TestBoard(), path: String, bootID: String = "boot-1",
        settings written: [String: String] = [:], catalogue: SettingsCatalogue = .ocpp16,
        capabilities: BoardCapabilities = BoardCapabilities.bench(),
        rules: ConnectorRules = ConnectorRules(),
        smart: SmartChargingSettings? = nil, siteMeter: (any EnergyMeter)? = nil,
        group: SmartCharging.Group? = nil, disk: TestDisk? = nil,
        clock: any ServiceClock = SystemClock(), log: Log = .silent,
        prepare: (
            inout StationAgent.Configuration, BoardJournal, StationSettings
        ) async throws -> Void = { _, _, _ in }
    ) async throws -> TestStation {
        try await make(
            boards: [board], path: path, bootID: bootID, settings: written, catalogue: catalogue,
            capabilities: capabilities, rules: rules, smart: smart, siteMeter: siteMeter,
            group: group, disk: disk, clock: clock, log: log, prepare: prepare)
    }

    /// One with a connector for each board, numbered from 1.
    static func make(
        boards: [TestBoard], path: String, bootID: String = "boot-1",
        settings written: [String: String] = [:], catalogue: SettingsCatalogue = .ocpp16,
        capabilities: BoardCapabilities = BoardCapabilities.bench(),
        rules: ConnectorRules = ConnectorRules(),
        smart: SmartChargingSettings? = nil, siteMeter: (any EnergyMeter)? = nil,
        group: SmartCharging.Group? = nil, disk: TestDisk? = nil,
        clock: any ServiceClock = SystemClock(), log: Log = .silent,
        prepare: (
            inout StationAgent.Configuration, BoardJournal, StationSettings
        ) async throws -> Void = { _, _, _ in }
    ) async throws -> TestStation {
        let journal = try await BoardJournal(
            path: path, bootID: bootID, clock: clock, probe: disk?.probe)
        let settings = StationSettings(
            catalogue: catalogue,
            defaults: [
                .connectorCount: String(boards.count),
                .measurandsSampled: "Energy.Active.Import.Register,Power.Active.Import",
                .basicAuthPassword: "", .operatorName: "", .securityProfile: "1",
            ],
            written: written, rules: rules)
        let recovered = try await journal.recovered()
        let latched = try await journal.latchedFaults()
        var polls = PollIntervals()
        polls.meter = 100
        polls.tick = 20
        polls.pilot = 20
        polls.mirror = 20
        polls.resting = 20
        polls.safety = 20
        polls.temperature = 20
        let executor = ThreadExecutor(name: "control")
        let controllers = boards.enumerated().map { index, board in
            let number = index + 1
            let machine = ConnectorMachine(
                number: number, board: capabilities, rules: settings.connectorRules,
                latched: latched[number] ?? [], recovering: recovered[number],
                at: Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now))
            return ConnectorController(
                machine: machine,
                devices: ConnectorDevices(
                    contactor: board, pilot: board, meter: board,
                    lock: capabilities.hasLock ? board : nil, residualCurrent: board,
                    emergencyStop: board,
                    temperature: capabilities.hasTemperature ? board : nil, indicator: board),
                journal: journal, executor: executor, polls: polls, clock: clock, log: log)
        }
        let smartCharging = smart.map {
            SmartCharging(
                $0, controllers: controllers, journal: journal, executor: executor,
                meter: siteMeter, group: group, clock: clock, log: .silent)
        }
        try await smartCharging?.load()
        let (stream, links) = AsyncStream<TestOperator>.makeStream()
        let resets = Lock(0)
        var configuration = StationAgent.Configuration(
            stationID: "CP1", identity: StationIdentity(vendor: "Kerb", model: "test"),
            dialect: OCPP16Dialect(),
            connect: { _ in
                var iterator = stream.makeAsyncIterator()
                guard let link = await iterator.next() else { throw NoLink() }
                return link
            }, restart: { _ in resets.withLock { $0 += 1 } })
        configuration.backoff = Backoff(firstMilliseconds: 1, longestMilliseconds: 2)
        configuration.answerMilliseconds = 1_000
        configuration.resetWaitMilliseconds = 50
        configuration.smartCharging = smartCharging
        try await prepare(&configuration, journal, settings)
        let agent = StationAgent(
            configuration, connectors: controllers, journal: journal, settings: settings,
            log: .silent)
        await agent.load()
        return TestStation(
            boards: boards, controllers: controllers, agent: agent, journal: journal, links: links,
            resets: resets, smartCharging: smartCharging)
    }

    /// Runs station and test side by side; the station ends with the test.
    func during(_ test: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup { group in
            for controller in controllers { group.addTask { await controller.run() } }
            group.addTask { await agent.run() }
            if let smartCharging { group.addTask { await smartCharging.run() } }
            do { try await test() } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
        await journal.close()
    }
}

/// A disk that does what a test lets it.
struct TestDisk {
    var probe: JournalProbe
}

/// Looks until something holds; a real station runs beside the test, so its time is real too.
///
/// It pauses between two looks: a loop of yields takes the processor from those it waits for.
func until(_ holds: () async throws -> Bool) async rethrows {
    while !(try await holds()) {
        // Ends early only when the test is cancelled, which the time limit does.
        try? await SystemClock().sleep(milliseconds: 5)
        if Task.isCancelled { return }
    }
}
