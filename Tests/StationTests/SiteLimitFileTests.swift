import Charging
import Glibc
import TestSupport
import Testing

@testable import Station

@Suite struct `A limit file` {
    @Test func `is one limit for all phases, or one for each, with or without an end`() {
        #expect(
            SiteLimitFile.read(Array(#"{"amperes":16.5}"#.utf8))
                == .limit(SiteLimit(currents: PhaseCurrents(16_500, 16_500, 16_500))))
        #expect(
            SiteLimitFile.read(
                Array(#"{"amperes":[16,10,0],"until":"2026-11-27T18:00:00Z"}"#.utf8))
                == .limit(
                    SiteLimit(
                        currents: PhaseCurrents(16_000, 10_000, 0),
                        until: Timestamp(rfc3339: "2026-11-27T18:00:00Z"))))
    }

    @Test(arguments: [
        "", "16", "{}", "[16]", #"{"amperes":-1}"#, #"{"amperes":1001}"#, #"{"amperes":"16"}"#,
        #"{"amperes":[16,16]}"#, #"{"amperes":[16,16,"x"]}"#, #"{"amperes":16,"until":"soon"}"#,
        #"{"amperes":16,"ampere":6}"#, #"{"amperes":1e40}"#,
    ])
    func `that cannot be understood is told apart from none`(text: String) {
        guard case .unreadable = SiteLimitFile.read(Array(text.utf8)) else {
            Issue.record("\(text) was read")
            return
        }
    }

    @Test func `that is not there is no limit; a folder in its place is not understood`() {
        let folder = TemporaryFolder()
        #expect(SiteLimitFile.read(folder.file("none.json")) == .none)
        guard case .unreadable = SiteLimitFile.read(folder.path) else {
            Issue.record("a folder was read")
            return
        }
    }
}
