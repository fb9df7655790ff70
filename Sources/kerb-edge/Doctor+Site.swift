import JSON
import Service
import Station

extension Doctor {
    /// What a running agent makes of the meter at the site's fuse.
    func siteMeter() -> [Finding] {
        guard settings.supply.meter != nil else { return [] }
        guard let others = status?["charging"]?["othersAmperes"]?.array else {
            return [
                .bad(
                    "site meter", "silent; the outlets share safeAmperes meanwhile",
                    mend: Self.meterMend)
            ]
        }
        let text = others.map { $0.number?.text ?? "?" }.joined(separator: "/")
        return [.fine("site meter", "other consumers draw \(text) A")]
    }

    /// Whether what is configured is what somebody measured.
    func commissioning() -> Finding {
        guard FileSystem.exists(settings.lockPath) else {
            return .warning(
                "commissioning", "nobody has; fuse and wiring are as somebody wrote them",
                mend: "kerb-edge commission, with a test vehicle")
        }
        do {
            try settings.checkAgainstCommissioning()
            let record = try JSONValue(parsing: try FileSystem.read(settings.lockPath))
            return .fine(
                "commissioning",
                "\(record["fuseAmperes"]?.number?.text ?? "?") A, wiring "
                    + "\(record["phaseRotation"]?.string ?? "not told"), "
                    + "\(record["at"]?.string ?? "?") by \(record["by"]?.string ?? "?")")
        } catch let failure as Program.Failure {
            return .bad(
                "commissioning", failure.text, mend: "put it back, or kerb-edge decommission")
        } catch {
            return .bad("commissioning", "\(error)", mend: "commission again")
        }
    }
}
