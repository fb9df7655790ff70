import Charging
import JSON
import Service
import Web

/// Many OCPP 1.6 stations in one process: boot, charge, report.
package final class Fleet: Sendable {
    package struct Settings: Sendable {
        package var stations: Int
        /// `ws://host:port/ocpp/`; each station appends its identity.
        package var url: String
        package var prefix: String
        /// The same for all; nil: no log-in.
        package var password: [UInt8]?
        package var caFile: String?
        package var token: String
        /// Calls a second of the whole fleet.
        package var callsPerSecond: Int
        /// New connections a second.
        package var connectsPerSecond: Int

        package init(
            stations: Int, url: String, prefix: String = "SIM", password: [UInt8]? = nil,
            caFile: String? = nil, token: String = "DEMO-CARD-1", callsPerSecond: Int,
            connectsPerSecond: Int = 500
        ) {
            self.stations = stations
            self.url = url.hasSuffix("/") ? url : url + "/"
            self.prefix = prefix
            self.password = password
            self.caFile = caFile
            self.token = token
            self.callsPerSecond = callsPerSecond
            self.connectsPerSecond = connectsPerSecond
        }
    }

    /// An answer later than this counts as none.
    static let answerMilliseconds: Int64 = 30_000
    static let mostStations = 19_000

    let settings: Settings
    private let counts = Lock(FleetReport())
    private let shard: Shard

    package init(_ settings: Settings) throws(WebServerError) {
        self.settings = settings
        shard = try Shard.make(kind: .libuv)
        shard.start(name: "fleet")
    }

    package var report: FleetReport { counts.withLock { $0 } }

    func count(_ body: (inout FleetReport) -> Void) { counts.withLock(body) }

    /// Runs every station until the task is cancelled.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            for number in 1...settings.stations {
                group.addTask { [self] in await live(number) }
            }
        }
        await shard.stop()
    }

    /// One station's life: connects, plays its script, connects again.
    private func live(_ number: Int) async {
        let digits = String(number)
        let id =
            settings.prefix + "-" + String(repeating: "0", count: max(0, 5 - digits.count))
            + digits
        var station = FleetStation(
            id: id, token: settings.token, register: Int64(number % 1000) * 1000)
        var backoff = Backoff(longestMilliseconds: 60_000, seed: UInt64(number))
        var wait = Int64(number - 1) * 1000 / Int64(max(1, settings.connectsPerSecond))
        while !Task.isCancelled {
            do {
                try await SystemClock().sleep(milliseconds: wait)
                let client = try await WebSocketClient.connect(configuration(id), on: shard)
                backoff.reset()
                count {
                    $0.connects += 1; $0.connected += 1
                }
                station = await FleetLink(client, fleet: self).play(station)
                count {
                    $0.connected -= 1; $0.lostConnections += Task.isCancelled ? 0 : 1
                }
                await client.close()
            } catch is CancellationError {
                return
            } catch {
                count { $0.refusedConnects += 1 }
            }
            station.reconnected()
            wait = backoff.next()
        }
    }

    private func configuration(_ id: String) -> WebSocketClient.Configuration {
        var configuration = WebSocketClient.Configuration(
            url: settings.url + id, subprotocols: ["ocpp1.6"])
        configuration.caFile = settings.caFile
        if let password = settings.password {
            configuration.credentials = BasicCredentials(user: Array(id.utf8), password: password)
        }
        return configuration
    }

    /// From one call of a station to its next.
    var strideMilliseconds: Int64 {
        Int64(settings.stations) * 1000 / Int64(max(1, settings.callsPerSecond))
    }
}
