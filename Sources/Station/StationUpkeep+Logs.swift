import Charging
import JSON
import Service

extension StationUpkeep {
    /// Uploads a log; one at a time, a new order takes the place of the old.
    func sendLog(_ order: LogOrder) -> CommandAnswer {
        let name = fileName(order.kind)
        let isReplacing = uploading != nil
        uploading?.cancel()
        uploadNumber += 1
        let number = uploadNumber
        log.notice(
            "log ordered",
            [
                "kind": order.kind.rawValue,
                "place": configuration.carriage.masked(order.transfer.location),
            ])
        uploading = Task { await self.upload(order, name, number) }
        let status = isReplacing ? "AcceptedCanceled" : "Accepted"
        return .maintenance(
            .log(status: order.requestID == nil ? nil : status, fileName: name))
    }

    /// Ours, whatever the operator or the station's name hold.
    private func fileName(_ kind: LogKind) -> String {
        let id = configuration.stationID.unicodeScalars.map { scalar -> Character in
            let isPlain =
                scalar.isASCII
                && (scalar.properties.isAlphabetic
                    || ("0"..."9").contains(Character(scalar)))
            return isPlain || scalar == "-" ? Character(scalar) : "_"
        }
        let time = clock.now.rfc3339.filter { $0.isNumber || $0 == "T" || $0 == "Z" }
        let ending = kind == .security ? "security-\(time).txt" : "diagnostics-\(time).tar"
        return "kerb-\(String(id))-\(ending)"
    }

    private func upload(_ order: LogOrder, _ name: String, _ number: Int) async {
        let path = "\(configuration.folder)/upload-\(number)"
        // Gone at the latest with the next start's files of the same number.
        defer { try? FileSystem.remove(path) }
        await report(.uploading, order)
        let status = await send(order, name, path)
        guard number == uploadNumber, !Task.isCancelled else { return }
        uploading = nil
        await report(status, order)
        uploadRequest = nil
    }

    private func report(_ status: UploadStatus, _ order: LogOrder) async {
        uploadRequest = (status, order.requestID)
        log.notice("log upload", ["status": status.rawValue])
        if let requestID = order.requestID {
            await queue(.log(status, requestID: requestID))
        } else {
            await queue(.diagnostics(status))
        }
    }

    private func send(_ order: LogOrder, _ name: String, _ path: String) async -> UploadStatus {
        do {
            let bytes =
                switch order.kind {
                case .security: Array(try await securityText(order).utf8)
                case .diagnostics: try await diagnostics()
                }
            try FileSystem.writeAtomically(bytes, to: path)
        } catch {
            log.error("log not written", ["error": String(describing: error)])
            return .failed
        }
        let url = Self.place(order.transfer.location, name)
        let retries = min(
            max(order.transfer.retries ?? configuration.firmware.retries, 0),
            FirmwareMachine.Rules.mostRetries)
        let pause = min(
            max(order.transfer.retrySeconds ?? configuration.firmware.retrySeconds, 1),
            FirmwareMachine.Rules.longestRetrySeconds)
        for attempt in 0... {
            do throws(CarriageError) {
                try await configuration.carriage.upload(path, to: url)
                return .uploaded
            } catch {
                log.warning("log not sent", ["error": error.text, "attempt": attempt])
                guard error.mayHeal, attempt < retries else { return Self.status(error) }
                do { try await clock.sleep(milliseconds: Int64(pause) * 1000) } catch {
                    return .failed
                }
            }
        }
        return .failed
    }

    private static func status(_ error: CarriageError) -> UploadStatus {
        switch error.kind {
        case .badPlace: .badMessage
        case .notPermitted: .permissionDenied
        case .other: .failed
        }
    }

    /// FTP places are folders, HTTP places too where they end with a slash.
    static func place(_ location: String, _ name: String) -> String {
        let isFTP = location.lowercased().hasPrefix("ftp")
        if location.hasSuffix("/") { return location + name }
        return isFTP ? "\(location)/\(name)" : location
    }

    // MARK: Texts

    private func securityText(_ order: LogOrder) async throws -> String {
        let events = try await journal.securityLog(from: order.from, until: order.until)
        return Self.lines(events).joined(separator: "\n") + "\n"
    }

    private static func lines(_ events: [SecurityEvent]) -> [String] {
        events.map { event in
            let info = event.info.map { " " + Log.quoted($0) } ?? ""
            return "\(event.at?.rfc3339 ?? "-") \(event.type)\(info)"
        }
    }

    private func diagnostics() async throws -> [UInt8] {
        let view = await agent?.view()
        if let bundle = configuration.bundle { return try await bundle(view) }
        return Array((view?.json.text ?? "{}").utf8)
    }
}
