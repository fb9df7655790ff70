import Testing
import Web

@Suite struct `A Basic header` {
    @Test func `gives user and password as bytes`() {
        #expect(
            BasicCredentials(header: "basic Q1AxOnNlY3JldA==")
                == BasicCredentials(user: Array("CP1".utf8), password: Array("secret".utf8)))
        #expect(BasicCredentials(header: "Basic Og==") == BasicCredentials(user: [], password: []))
    }

    @Test(arguments: [nil, "", "Basic", "Bearer Q1AxOnNlY3JldA==", "Basic Q1Ax", "Basic !!!!"])
    func `is refused without a colon or if it is no Base64`(header: String?) {
        #expect(BasicCredentials(header: header) == nil)
    }
}
