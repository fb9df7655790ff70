import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

/// `/files/TOKEN` and `/files/TOKEN/NAME`: the name is the station's affair and read by nobody.
extension FileStore {
    package func mount(on router: inout Router) {
        let most = max(settings.mostFirmwareBytes, settings.mostLogBytes)
        for pattern in ["/files/{token}", "/files/{token}/{name...}"] {
            router.add("GET", pattern) { await self.give($0) }
            for method in ["PUT", "POST"] {
                router.add(method, pattern, mostBytes: most) { await self.take($0, $1) }
            }
        }
    }

    // MARK: Giving

    private func give(_ request: HTTPRequest) async -> HTTPResponse {
        let now = house.clock.now
        let token = request[parameter: "token"]
        let isHead = request.method == "HEAD"
        do {
            let found = try await file(of: token, .get, at: now)
            guard found.isWhole else { throw FileLink.Refusal.unknown }
            if isHead { return await content(of: found, request) }
            // A place first: a busy server uses nothing up.
            guard let transfer = beginTransfer(over: token) else { return busy }
            try await house.write { transaction in
                _ = try FileLink.use(token, .get, at: now, in: transaction)
            }
            return await content(of: found, request, transfer)
        } catch { return refused(error, request) }
    }

    /// What an address leads to. Looked up beside the writer, so that strangers do not hold it up.
    private func file(
        of token: String, _ direction: FileLink.Direction, at now: Timestamp
    ) async throws -> StationFile {
        guard FileLink.isToken(token) else { throw FileLink.Refusal.unknown }
        return try await house.read { transaction in
            let link = try FileLink.find(token, direction, at: now, in: transaction)
            guard let file = try StationFile.stored(link.file, in: transaction) else {
                throw FileLink.Refusal.unknown
            }
            return file
        }
    }

    /// The bytes of a file, or the part of it that is asked for. RFC 9110 §14.
    package func content(of file: StationFile, _ request: HTTPRequest) async -> HTTPResponse {
        guard let transfer = beginTransfer(over: Self.console) else { return busy }
        return await content(of: file, request, transfer)
    }

    private func content(
        of file: StationFile, _ request: HTTPRequest, _ transfer: Transfer
    ) async -> HTTPResponse {
        guard let size = file.size, let hash = file.sha256 else {
            return .problem(404, "not found", detail: "the file has not come yet")
        }
        let tag = "\"\(hash)\""
        var headers: HTTPHeaders = [
            "Content-Type": "application/octet-stream", "ETag": tag, "Accept-Ranges": "bytes",
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Content-Disposition":
                "attachment; filename=\"\(StationFile.plain(file.label.name))\"",
        ]
        var wanted = ByteRange.whole(size)
        // A part of another file than the first part was of would make a third one.
        if request.headers["If-Range"].map({ $0 == tag }) ?? true {
            wanted = ByteRange(header: request.headers["Range"], size: size)
        }
        switch wanted {
        case .unsatisfiable:
            headers.add("Content-Range", "bytes */\(size)")
            return HTTPResponse(416, headers: headers)
        case .whole:
            return await stream(file.id, from: 0, count: size, 200, headers, transfer)
        case .part(let first, let last):
            headers.add("Content-Range", "bytes \(first)-\(last)/\(size)")
            return await stream(
                file.id, from: first, count: last - first + 1, 206, headers, transfer)
        }
    }

    private func stream(
        _ id: String, from: Int64, count: Int64, _ status: Int, _ headers: HTTPHeaders,
        _ transfer: Transfer
    ) async -> HTTPResponse {
        do {
            let reading = FileReading(
                disk: disk, number: try await disk.open(id), from: from, count: count,
                transfer: transfer, clock: house.clock)
            return HTTPResponse(status, headers: headers, length: count) {
                try await reading.next()
            }
        } catch {
            house.log.error("file not readable", ["file": id, "error": "\(error)"])
            return .problem(404, "not found", detail: "the file is not on the disk any more")
        }
    }

    // MARK: Taking

    private func take(_ request: HTTPRequest, _ body: HTTPBody) async -> HTTPResponse {
        let now = house.clock.now
        let token = request[parameter: "token"]
        do {
            _ = try await self.file(of: token, .put, at: now)
            // Of two that come at once one would take the other's place when it is whole.
            guard let transfer = beginTransfer(over: token, atOnce: 1) else {
                return isUnderWay(token) ? Self.taken : busy
            }
            let (file, isPerson) = try await house.write { transaction in
                let link = try FileLink.use(token, .put, at: now, in: transaction)
                guard let file = try StationFile.stored(link.file, in: transaction) else {
                    throw FileLink.Refusal.unknown
                }
                return (file, link.station == nil)
            }
            // An image that campaigns may name already stays as it is; a station whose answer was
            // lost brings its log once more.
            defer { withExtendedLifetime(transfer) {} }
            do {
                if file.isWhole, isPerson { throw FileLink.Refusal.usedUp }
                return try await receive(file, body, request)
            } catch {
                try await note(error, of: file, request)
                throw error
            }
        } catch { return refused(error, request) }
    }

    /// An upload that was begun and not taken, for the operator. Each costs a use of its address, so there
    /// are few of them.
    private func note(
        _ error: any Error, of file: StationFile, _ request: HTTPRequest
    ) async throws {
        let reason =
            switch error {
            case FileLink.Refusal.usedUp: "the file is here already"
            case FileLink.Refusal.unknown: "the file was deleted meanwhile"
            case is TooLarge: "too large"
            case is Mismatch: "not the announced file"
            case is Empty: "empty"
            case is HTTPBody.Broken: "the body broke off"
            case FileError.diskFull: "the disk is full"
            default: "it could not be stored"
            }
        house.log.warning(
            "upload refused",
            [
                "file": file.id, "station": file.station ?? "", "reason": reason,
                "address": request.remoteAddress,
            ])
        let now = house.clock.now
        try await house.write { [house] transaction in
            try house.journal.append(
                .fileRefused, file.station ?? file.id,
                ["file": .string(file.id), "reason": .string(reason)], at: now, in: transaction)
        }
    }

    private struct TooLarge: Error { var limit: Int64 }
    private struct Mismatch: Error { var found: String }
    private struct Empty: Error {}

    private func receive(
        _ file: StationFile, _ body: HTTPBody, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let limit = file.kind == .firmware ? settings.mostFirmwareBytes : settings.mostLogBytes
        if let told = request.headers["Content-Length"].flatMap({ Int64($0) }), told > limit {
            throw TooLarge(limit: limit)
        }
        let upload = try await disk.begin()
        do {
            var size: Int64 = 0
            while let bytes = try await body.next() {
                size += Int64(bytes.count)
                guard size <= limit else { throw TooLarge(limit: limit) }
                try await disk.append(bytes, to: upload)
            }
            guard size > 0 else { throw Empty() }
            let whole = try await disk.seal(upload)
            if let wanted = file.label.sha256, wanted != whole.sha256 {
                throw Mismatch(found: whole.sha256)
            }
            // The file first: a row that says it is here never lies.
            try await disk.publish(upload, as: file.id)
            let now = house.clock.now
            let isKnown = try await house.write { [house] transaction in
                let count = try transaction.execute(
                    "UPDATE csms_file SET size = ?, sha256 = ?, stored_at = ? WHERE id = ?",
                    whole.size, whole.sha256, now, file.id)
                guard count == 1 else { return false }
                try house.journal.append(
                    .fileStored, file.station ?? file.id,
                    ["file": .string(file.id), "kind": .string(file.kind.rawValue)], at: now,
                    in: transaction)
                return true
            }
            guard isKnown else {
                // Deleted while it came: nothing of it stays.
                try await disk.remove(file.id)
                throw FileLink.Refusal.unknown
            }
            house.log.notice(
                "file stored",
                [
                    "file": file.id, "station": file.station ?? "", "bytes": whole.size,
                    "address": request.remoteAddress,
                ])
            return .json(
                [
                    "id": .string(file.id), "size": .number(whole.size),
                    "sha256": .string(whole.sha256),
                ],
                status: 201, headers: ["Cache-Control": "no-store"])
        } catch {
            await disk.abandon(upload)
            throw error
        }
    }

    // MARK: Refusing

    private static let taken = HTTPResponse.problem(
        409, "an upload to this address is under way",
        detail: "wait for its end; where it broke off, come again in a minute",
        headers: ["Retry-After": "60"])

    private var busy: HTTPResponse {
        .problem(
            503, "too many transfers", detail: "come again in a minute",
            headers: ["Retry-After": "60"])
    }

    private func refused(_ error: any Error, _ request: HTTPRequest) -> HTTPResponse {
        switch error {
        case let refusal as FileLink.Refusal: return Self.response(refusal)
        case let large as TooLarge:
            return .problem(
                413, "too large", detail: "at most \(large.limit) bytes are taken here")
        case let mismatch as Mismatch:
            return .problem(
                422, "not the announced file",
                detail: "its SHA-256 is \(mismatch.found); send the file that was announced",
                field: "sha256")
        case is Empty: return .problem(422, "empty", detail: "the file has no bytes")
        case is HTTPBody.Broken: return .problem(400, "the body broke off")
        case FileError.diskFull:
            house.log.error("file not stored", ["error": "\(error)"])
            return .problem(507, "no room", detail: "the disk is full; try again later")
        default:
            house.log.error(
                "file transfer failed",
                ["address": request.remoteAddress, "error": "\(error)"])
            return .problem(500, "something went wrong", detail: "the server's log says what")
        }
    }

    private static func response(_ refusal: FileLink.Refusal) -> HTTPResponse {
        switch refusal {
        case .unknown: .problem(404, "not found")
        case .expired: .problem(410, "the address has expired", detail: "ask for a new one")
        case .usedUp: .problem(410, "the address is used up", detail: "ask for a new one")
        }
    }
}

/// One download: reads on as its peer takes it, and lets go of the file at the end, whatever ends it.
private final class FileReading: Sendable {
    private let disk: FileDisk
    private let number: Int
    private let place: Lock<(at: Int64, left: Int64)>
    /// Its place among the transfers, let go of with the reading.
    private let transfer: FileStore.Transfer
    private let clock: any ServiceClock
    private let latest: Int64

    /// Longer no download has: who takes a byte now and then would keep its place for days.
    private static let mostMilliseconds: Int64 = 3_600_000

    struct TooSlow: Error {}

    init(
        disk: FileDisk, number: Int, from: Int64, count: Int64, transfer: FileStore.Transfer,
        clock: any ServiceClock
    ) {
        self.disk = disk
        self.number = number
        place = Lock((from, count))
        self.transfer = transfer
        self.clock = clock
        latest = clock.monotonicMilliseconds + Self.mostMilliseconds
    }

    deinit {
        let (disk, number) = (disk, number)
        Task { await disk.close(reading: number) }
    }

    func next() async throws -> [UInt8]? {
        guard clock.monotonicMilliseconds < latest else { throw TooSlow() }
        let (at, count) = place.withLock { place in
            let count = min(place.left, Int64(HTTPResponse.pieceBytes))
            defer {
                place.at += count
                place.left -= count
            }
            return (place.at, Int(count))
        }
        guard count > 0 else { return nil }
        return try await disk.read(number, at: at, count: count)
    }
}
