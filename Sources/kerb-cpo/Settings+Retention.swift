import CPO
import Service

extension Settings {
    /// How long what is kept of people.
    static func retention(_ top: ConfigSection) -> RetentionSettings {
        let section = top.section("retention", about: "how long what names people is kept")
        func days(_ key: String, _ fallback: Int, _ about: String) -> Int {
            let days = section.int(key, default: fallback, in: 0...36_500, about: about)
            if !section.isSchema, days > 0, days < shortestDays {
                section.problem(
                    key,
                    "`retention.\(key)` must be 0 (for ever) or at least \(shortestDays): partners and "
                        + "chargers are late by weeks")
            }
            return days
        }
        let standard = RetentionSettings()
        var settings = RetentionSettings()
        settings.readingsDays = days(
            "readingsDays", standard.readingsDays,
            "fine meter readings of billed charges; bills stay. 0: for ever")
        settings.driversDays = days(
            "driversDays", standard.driversDays,
            "who charged, reserved, ordered; bills stay, without their drivers. 0: for ever")
        settings.auditDays = days(
            "auditDays", standard.auditDays, "who of the operator's people did what. 0: for ever")
        settings.backupDays = days(
            "backupDays", standard.backupDays,
            "the age of the oldest backup: so long erasures are remembered. 0: for ever")
        return settings
    }

    private static let shortestDays = 30
}
