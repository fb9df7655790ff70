import Charging
import Crypto
import HTTPClient
import JSON
import Service
import Simulation
import Web

/// Everything a journey needs on loopback: the simulated hardware, a driver's app and an eMSP in this
/// process, `kerb-cpo` and `kerb-edge` as the programs they are.
final class Stage: Sendable {
    struct NotReady: Error, CustomStringConvertible {
        let description: String
    }

    /// Where things are, and under which names.
    struct Plan: Sendable {
        var folder: String
        var programs: String
        /// `kerb-cpo`'s plain port; its TLS port for stations is the next one.
        var port: Int
        var station = "DEMO-1"
        var appID = "bap.kerb.demo"
        var bppID = "bpp.kerb.demo"
        var emsp = PartyID(country: "IN", party: "EMS")

        var url: String { "http://127.0.0.1:\(port)" }
        var cpoFolder: String { folder + "/cpo" }
        var edgeFolder: String { folder + "/edge" }
    }

    struct State {
        var cpo: ChildProcess?
        var edge: ChildProcess?
        var app: BecknApp?
        var emsp: EMSP?
    }

    let plan: Plan
    let site: Site
    let findings = Findings()
    private let appKey: Ed25519.PrivateKey
    var appPublicKey: Ed25519.PublicKey { appKey.publicKey }
    private let state = Lock(State())
    private let client = HTTPClient(.init(rules: .open))

    /// A register below 8 MWh resolves single watt-hours in float32.
    static let startRegisters: [Int64] = [412_345, 98_765]

    init(_ plan: Plan) throws {
        self.plan = plan
        appKey = try Ed25519.PrivateKey()
        for folder in [plan.folder, plan.cpoFolder, plan.edgeFolder] {
            try FileSystem.makeFolder(folder)
        }
        site = try Site(Self.hardware(plan))
    }

    var app: BecknApp {
        get throws {
            guard let app = state.withLock({ $0.app }) else {
                throw NotReady(description: "the app is not up yet")
            }
            return app
        }
    }

    var emsp: EMSP {
        get throws {
            guard let emsp = state.withLock({ $0.emsp }) else {
                throw NotReady(description: "the eMSP is not up yet")
            }
            return emsp
        }
    }

    // MARK: Up and down

    func startOperator() async throws {
        try registerApp()
        try await launchOperator()
        let records = try JSONValue(
            parsing: FileSystem.read(plan.cpoFolder + "/beckn-registry.json"))
        let list = (records["subscribers"] ?? records).array ?? []
        let ours = list.first { $0["subscriber_id"]?.string == plan.bppID }
        guard let text = ours?["signing_public_key"]?.string, let bytes = Base64.decode(text) else {
            throw NotReady(description: "the registry has no key of \(plan.bppID)")
        }
        let app = try BecknApp(
            .init(
                subscriberID: plan.appID, keyID: "app", privateKey: appKey, port: appPort,
                bppURL: plan.url + "/beckn", bppID: plan.bppID, bppKey: .init(bytes),
                domain: "ev-charging:beckn"), findings: findings)
        app.start()
        state.withLock { $0.app = app }
    }

    /// Starts `kerb-cpo` and waits until it is ready; again after a kill.
    func launchOperator() async throws {
        let process = try ChildProcess(
            "kerb-cpo", program: plan.programs + "/kerb-cpo",
            arguments: ["serve", "--demo", "--data", plan.cpoFolder, "--port", "\(plan.port)"],
            logPath: plan.folder + "/kerb-cpo.log")
        state.withLock { $0.cpo = process }
        try await wait(for: "kerb-cpo to be ready", seconds: 30) {
            guard process.isRunning else {
                throw NotReady(description: "kerb-cpo ended; see \(process.logPath)")
            }
            return try await self.answers("/readyz")
        }
    }

    func startBoard() throws {
        let password = Hex.encode(RandomBytes.make(10))
        try FileSystem.writeAtomically(Array(password.utf8), to: plan.edgeFolder + "/password")
        try FileSystem.writeAtomically(
            Array(Self.boardConfiguration(plan, site).utf8), to: plan.edgeFolder + "/edge.yaml")
        try launchBoard()
    }

    func launchBoard() throws {
        let process = try ChildProcess(
            "kerb-edge", program: plan.programs + "/kerb-edge",
            arguments: ["run", "--config", plan.edgeFolder + "/edge.yaml"],
            logPath: plan.folder + "/kerb-edge.log")
        state.withLock { $0.edge = process }
    }

    func startEMSP(tokenA: String) async throws {
        let emsp = try EMSP(
            .init(
                party: plan.emsp, name: "Demo Mobility", port: plan.port + 3,
                versionsURL: plan.url + "/ocpi/versions", tokenA: tokenA), findings: findings)
        emsp.start()
        state.withLock { $0.emsp = emsp }
        try await emsp.register()
    }

    /// TOKEN_A as `kerb-cpo serve --demo` wrote it down for its first partner.
    func invitation() throws -> String {
        let invite = try JSONValue(
            parsing: FileSystem.read(plan.cpoFolder + "/demo-ocpi-invite"))
        guard let token = invite["token"]?.string else {
            throw NotReady(description: "demo-ocpi-invite holds no token")
        }
        return token
    }

    /// Until the eMSP sees both bays in these states: an unconnected station's are UNKNOWN.
    func waitForStation(
        seconds: Int, statuses: [String] = ["AVAILABLE", "AVAILABLE"]
    ) async throws {
        let emsp = try emsp
        try await wait(for: "the station to be connected", seconds: seconds) {
            let location = try await emsp.pull("locations").first
            return location?["evses"]?.array?.compactMap { $0["status"]?.string } == statuses
        }
    }

    func killOperator() { state.withLock { $0.cpo }?.kill() }
    func killBoard() { state.withLock { $0.edge }?.kill() }

    /// Ends everything this stage started.
    func lower() async {
        let all = state.withLock { $0 }
        await all.edge?.end(withinSeconds: 5)
        await all.cpo?.end(withinSeconds: 10)
        await all.app?.stop()
        await all.emsp?.stop()
        site.stop()
        client.stop()
    }

    // MARK: The admin API

    func get(_ path: String) async throws -> JSONValue { try await api(.get, path) }

    func api(_ method: HTTPCall.Method, _ path: String, _ body: JSONValue? = nil) async throws
        -> JSONValue
    {
        let key = try String(
            decoding: FileSystem.read(plan.cpoFolder + "/demo-api-key"), as: UTF8.self)
        let bearer = key.split { $0.isWhitespace }.first.map(String.init) ?? ""
        let answer = try await client.call(
            HTTPCall(
                method, plan.url + "/api/v1" + path,
                headers: [
                    .init("Authorization", "Bearer " + bearer),
                    .init("Content-Type", "application/json"),
                ], body: body?.encoded() ?? []))
        guard (200..<300).contains(answer.status) else {
            throw NotReady(
                description: "\(method.rawValue) \(path): HTTP \(answer.status) "
                    + String(decoding: answer.body, as: UTF8.self))
        }
        return answer.body.isEmpty ? .null : try JSONValue(parsing: answer.body)
    }

    private func answers(_ path: String) async throws -> Bool {
        // Not listening yet is what is being waited out.
        let answer = try? await client.call(HTTPCall(.get, plan.url + path, deadlineSeconds: 2))
        return answer?.status == 200
    }

    /// Asks again every 100 ms until it is so.
    func wait(
        for what: String, seconds: Int, until isSo: @Sendable () async throws -> Bool
    ) async throws {
        for _ in 0..<(seconds * 10) {
            if try await isSo() { return }
            try await SystemClock().sleep(milliseconds: 100)
        }
        throw NotReady(description: "waited \(seconds) s for \(what) in vain")
    }
}
