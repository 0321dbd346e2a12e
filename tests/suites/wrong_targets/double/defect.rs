//! What is wrong with a double.

use serde::Deserialize;

/// One thing that a real server got wrong, or could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Defect {
    /// An empty key counts unasked.
    AcceptsEmptyKeys,
    /// EXTERNAL succeeds without TLS.
    AcceptsExternalInClear,
    /// A key counts whatever the authoritative server says.
    AcceptsInvalidKeys,
    /// A key counts without a question.
    AcceptsKeysUnasked,
    /// Dialback is missing from the features.
    AdvertisesNoDialback,
    /// An error or result that comes in is answered with an error.
    AnswersErrors,
    /// A malformed request gets a result.
    AnswersFaultyRequests,
    /// The answer to a key leaves by a stream of the double.
    AnswersKeysOnItsOwnStream,
    /// A request is answered on the stream that brought it.
    AnswersOnTheWayIn,
    /// A stream error is answered with another one.
    AnswersStreamErrors,
    /// The answer to a key has the addresses of the request.
    AnswersWithoutSwapping,
    /// The answer to a question has no id.
    AnswersWithoutTheId,
    /// The question about a key has another id.
    AsksForAnotherStream,
    /// Bidirectionality is asked for where it is not offered.
    AsksForBidirectionality,
    /// Who dials is asked for no certificate.
    AsksForNoCertificate,
    /// Stream management is asked for where it is not offered.
    AsksForStreamManagement,
    /// The server name is the host name from DNS.
    AsksForTheServer,
    /// The server name is that of the double.
    AsksForTheWrongName,
    /// The question about a key has its addresses the wrong way round.
    AsksInTheNameOfThePartner,
    /// Another `auth` is taken up after success.
    AuthenticatesTwice,
    /// An answer counts whatever its id.
    BelievesAnswersForOtherStreams,
    /// An answer counts whatever its `from`.
    BelievesAnswersFromOthers,
    /// An answer counts on a stream that a partner opened.
    BelievesAnswersOnTheWayIn,
    /// An answer counts whatever its `to`.
    BelievesAnswersToOthers,
    /// After EXTERNAL, further domains need no verification.
    BelievesAnybodyAfterExternal,
    /// EXTERNAL succeeds whatever the certificate.
    BelievesAnyCertificate,
    /// An answer counts before the key was sent.
    BelievesEarlyResults,
    /// A `db:result` counts whatever its `from`.
    BelievesResultsFromOthers,
    /// A `db:result` counts whatever its `to`.
    BelievesResultsToOthers,
    /// A typed `db:result` that nobody asked for authenticates its sender.
    BelievesResultsUnasked,
    /// A `success` in place of features counts.
    BelievesSuccessUnasked,
    /// With a good certificate, any authorization identity is taken.
    BelievesTheAuthorizationIdentity,
    /// Each error is a message.
    BouncesAsMessages,
    /// An error that cannot be delivered is returned.
    BouncesErrors,
    /// Of the stanzas that wait for a stream, only the first is returned.
    BouncesOnlyTheFirst,
    /// The certificate is for servers alone, in both roles.
    CertificateForServers,
    /// The certificate is that of an authority.
    CertificateOfAnAuthority,
    /// Its certificate is for another domain.
    CertificateOfAnother,
    /// A certificate for the name in the header replaces any key.
    ChecksTheHeaderForTheKey,
    /// A certificate for the name in the partner's header is good.
    ChecksTheNameInTheHeader,
    /// A certificate for the host name from DNS is good.
    ChecksTheServerForTheName,
    /// The authorization identity is the partner.
    ClaimsTheNameOfThePartner,
    /// The domain of a sender only has to begin with a verified one.
    ComparesBeginningsOfSenders,
    /// Addresses are compared letter by letter.
    ComparesCapitals,
    /// A certificate for a domain that ends alike is enough.
    ComparesEndings,
    /// The domain of a sender only has to end alike.
    ComparesEndsOfSenders,
    /// Elements are known by their local names.
    ComparesLocalNames,
    /// Elements of dialback are known by their prefix.
    ComparesPrefixes,
    /// A certificate like that of the authoritative server replaces the key.
    ComparesSubjects,
    /// The beginning of a key is enough.
    ComparesTheBeginningOfKeys,
    /// An answer decides all open questions about its pair.
    ConfusesVerifications,
    /// The limit for one stanza counts all of them.
    CountsBytesOfAllStanzas,
    /// Stream ids are numbers.
    CountsStreamIds,
    /// A name in a certificate ends at its first NUL.
    CutsNamesAtNul,
    /// Of two stanzas that arrive at once, the second is delivered first.
    DeliversOutOfOrder,
    /// A connection is opened only when the one before is.
    DialsOneAtATime,
    /// An SRV target of `.` is ignored.
    DialsWhoHasNoService,
    /// No certificate is shown when it dials.
    DialsWithoutCertificate,
    /// SRV records are ignored.
    DialsWithoutSrv,
    /// Characters that XML forbids are dropped.
    DropsControlCharacters,
    /// A stanza before authentication is dropped without a word.
    DropsStrangersSilently,
    /// Text between stanzas is dropped.
    DropsTextBetweenStanzas,
    /// References to entities that are not declared are dropped.
    DropsUnknownReferences,
    /// A stanza of the inner side is dropped if an earlier one had the same id.
    DropsWhatHasTheSameId,
    /// Its answering header comes from whomever the partner addressed.
    EchoesTheName,
    /// The version in its answering header is the partner's.
    EchoesTheVersion,
    /// An empty key is valid.
    EmptyKeysAreValid,
    /// The list of mechanisms may be empty.
    EmptyMechanisms,
    /// Stream management is enabled for whoever asks.
    EnablesAnything,
    /// Attempts at EXTERNAL are not limited.
    EndlessAttempts,
    /// Keys on one stream are not limited.
    EndlessKeys,
    /// The negotiation with a server may last as long as it likes.
    EndlessPatience,
    /// The stream ends at the first failure of EXTERNAL.
    EndsAtAFailure,
    /// Asked about a key of another domain, it ends the stream.
    EndsAtForeignQuestions,
    /// A key for a domain that is not served ends the stream.
    EndsAtUnknownTargets,
    /// The stream ends with the first pair that cannot be verified.
    EndsWithAFailedPair,
    /// Streams end without a stream error.
    EndsWithoutAnError,
    /// A stream error goes out before the header.
    ErrorBeforeTheHeader,
    /// Each stream error is `undefined-condition`.
    ErrorsAreUndefined,
    /// The error for a malformed request leaves by the stream that brought it.
    ErrorsOnTheWayIn,
    /// What leaves is not escaped.
    EscapesNothing,
    /// Whatever cannot be delivered is returned with `remote-server-timeout`.
    EveryFailureIsATimeout,
    /// Asked about a key, it says `valid`.
    EveryKeyIsValid,
    /// Where a negotiation under TLS fails, the next one is in clear.
    FallsBackToClear,
    /// Features go to partners without a version, too.
    FeaturesForOldPartners,
    /// A stream on which many keys are asked about is ended.
    FewQuestions,
    /// A key without addresses is for those of the header.
    FillsInAddresses,
    /// It goes wherever `see-other-host` leads, and trusts who is there.
    FollowsRedirects,
    /// Prefixes that the stream header declares are unknown later.
    ForgetsPrefixes,
    /// After an error for one pair, nothing more is sent to that partner.
    GivesUpOnTheWholePartner,
    /// What comes behind the closing tag is processed.
    GoesOnAfterTheEnd,
    /// After `failure` of STARTTLS it goes on in clear.
    GoesOnAfterTlsFailure,
    /// What comes in place of a new header is processed.
    GoesOnWithoutRestart,
    /// Where TLS is required and not offered, it goes on in clear.
    GoesOnWithoutTls,
    /// Its header under TLS has no addresses.
    HeaderUnderTlsWithoutAddresses,
    /// Its header does not declare dialback.
    HeaderWithoutDialback,
    /// Its answering header has no `from`.
    HeaderWithoutFrom,
    /// Its answering header has no `id`.
    HeaderWithoutId,
    /// Its answering header has no `version`.
    HeaderWithoutVersion,
    /// SRV records are tried in the wrong order.
    HighestPriorityFirst,
    /// An abort of SASL is ignored.
    IgnoresAborts,
    /// Keys are compared without regard to case.
    IgnoresCapitalsOfKeys,
    /// Comments are ignored.
    IgnoresComments,
    /// The dates of certificates are ignored.
    IgnoresDates,
    /// It goes on in clear with a partner that requires TLS.
    IgnoresDemandedTls,
    /// Of the names in a certificate only those for XMPP count.
    IgnoresDnsNames,
    /// Document types are ignored.
    IgnoresDocumentTypes,
    /// The declared encoding is ignored.
    IgnoresEncodings,
    /// Processing instructions are ignored.
    IgnoresInstructions,
    /// The names of certificates are ignored.
    IgnoresNames,
    /// What a certificate was issued for is ignored.
    IgnoresPurposes,
    /// EXTERNAL is offered and accepted although it is off.
    IgnoresThatSaslIsOff,
    /// The addresses in a header are cut to their domains.
    IgnoresTheRestOfNames,
    /// An unknown element is ignored.
    IgnoresUnknownElements,
    /// Asked about a key of another domain, it says `invalid`.
    InvalidForForeignDomains,
    /// A key that nobody can be asked about is `invalid`.
    InvalidWithoutAnAuthority,
    /// It takes any domain for its own.
    IsWhoeverIsMeant,
    /// A connection that was given up keeps its place.
    KeepsAbandonedConnections,
    /// A blank keeps the connection alive during negotiations.
    KeepsAliveInNegotiations,
    /// The features from before TLS stay.
    KeepsFeaturesFromBeforeTls,
    /// The id stays the same over restarts.
    KeepsItsStreamId,
    /// The `from` of the first header stays.
    KeepsTheNameFromBeforeTls,
    /// After EXTERNAL, a key is sent as well.
    KeyAfterExternal,
    /// The parts of a key run together.
    KeyOfRunTogetherParts,
    /// The key is for the stream before TLS.
    KeyOfTheFirstStream,
    /// The key does not depend on the domains.
    KeyWithoutDomains,
    /// The key does not depend on the stream.
    KeyWithoutId,
    /// The key takes no secret.
    KeyWithoutSecret,
    /// Required TLS is not marked.
    LeavesRequiredOut,
    /// The end of a stream is not answered.
    LeavesTheEndUnanswered,
    /// Offered TLS is not used.
    LeavesTlsUnused,
    /// After failed attempts, a domain can no longer authenticate.
    LocksOut,
    /// The language of stanzas is lost.
    LosesLanguages,
    /// What leaves has no sender.
    LosesTheSender,
    /// Once a stream has ended, what is sent to its partner is lost.
    LosesWhatComesLater,
    /// Keys are passed on in lower case.
    LowersKeys,
    /// No server name is sent.
    NamesNobody,
    /// A certificate without a common name is not good.
    NeedsACommonName,
    /// EXTERNAL without an authorization identity is refused.
    NeedsAnIdentity,
    /// A feature that it does not know makes a server useless.
    NeedsKnownFeatures,
    /// A stanza without `to` is delivered.
    NeedsNoRecipient,
    /// A stanza without `from` is delivered.
    NeedsNoSender,
    /// A good answer counts only where somebody has asked about a key.
    NeedsToBeAsked,
    /// Nothing is returned.
    NeverBounces,
    /// Asked about its own key, it says `invalid`.
    NoKeyIsValid,
    /// On a verified stream, further keys are not answered.
    NoKeysOnceVerified,
    /// Its answering header has no language.
    NoLanguage,
    /// After success no new stream is opened.
    NoRestartAfterSuccess,
    /// EXTERNAL is offered without TLS.
    OffersExternalInClear,
    /// EXTERNAL is offered whatever the certificate.
    OffersExternalToAnybody,
    /// EXTERNAL is not offered to a good certificate.
    OffersNoExternal,
    /// STARTTLS is not offered.
    OffersNoTls,
    /// STARTTLS is offered where TLS is off.
    OffersTlsAlways,
    /// STARTTLS is offered under TLS.
    OffersTlsInTls,
    /// Only the first address of a server is tried.
    OneAddressOnly,
    /// A stream is negotiated only when the one before is.
    OneNegotiationAtATime,
    /// Only the first SRV record is tried.
    OneServerOnly,
    /// A stanza for another partner goes out on a stream that is there.
    OneStreamForAllPartners,
    /// All local domains share one stream.
    OneStreamForAllSenders,
    /// All streams have the same id.
    OneStreamId,
    /// It speaks TLS 1.2 at most.
    OnlyTls12,
    /// An answer to a key counts on whatever stream it comes.
    OverhearsResults,
    /// Its initial header has an `id`.
    OwnHeaderWithId,
    /// Its initial header has no `from`.
    OwnHeaderWithoutFrom,
    /// Its initial header has no `to`.
    OwnHeaderWithoutTo,
    /// Its initial header has no `version`.
    OwnHeaderWithoutVersion,
    /// EXTERNAL is not used where it is offered.
    PrefersDialback,
    /// STARTTLS under TLS gets another `proceed`.
    ProceedsTwice,
    /// Bytes behind `proceed` count as sent under TLS.
    ReadsOnBehindProceed,
    /// Bytes behind `starttls` count as sent under TLS.
    ReadsOnBehindStarttls,
    /// A `proceed` counts only in one form.
    ReadsProceedLiterally,
    /// Escaped markup is read as markup.
    ReadsTextAsMarkup,
    /// While a further key is being verified, no stanza is taken.
    RefusesWhileVerifying,
    /// Whitespace between stanzas ends the stream.
    RefusesWhitespace,
    /// Each failure of EXTERNAL is `not-authorized`.
    RefusesWithOneCondition,
    /// Refused EXTERNAL ends the stream without a `failure`.
    RefusesWithoutAWord,
    /// A stanza is delivered before authentication.
    RelaysStrangers,
    /// A stanza for a foreign domain is passed on to it.
    RelaysToAnybody,
    /// Who has shown a good certificate once needs no key later.
    RemembersCertificates,
    /// Its header repeats what the partner's header has declared.
    RepeatsDeclarations,
    /// Bytes that are no UTF-8 are replaced.
    ReplacesInvalidBytes,
    /// Each member of the pool has a secret of its own.
    SecretOfItsOwn,
    /// Streams begin with a byte order mark.
    SendsAByteOrderMark,
    /// Stanzas are delivered while their key is being verified.
    SendsBeforeTheAnswer,
    /// A key goes out before the features.
    SendsBeforeTheFeatures,
    /// A key goes out before the partner has sent an id.
    SendsBeforeTheHeader,
    /// Stanzas go out before the key is accepted.
    SendsBeforeTheResult,
    /// With a good certificate, a key is not answered.
    SilentWithACertificate,
    /// A key that nobody can be asked about is not answered.
    SilentWithoutAnAuthority,
    /// Byte order marks are dropped, wherever they are.
    SkipsByteOrderMarks,
    /// Stanzas of more than eight kilobytes are refused.
    SmallStanzas,
    /// After a broken handshake, a stream error follows in clear.
    SpeaksAfterBrokenTls,
    /// A local sender may use any domain.
    SpeaksForAnybody,
    /// After a stream error the connection stays.
    StaysAfterErrors,
    /// After `invalid` the stream stays.
    StaysAfterInvalid,
    /// Each stanza gets a stream of its own.
    StreamForEachStanza,
    /// A new name after EXTERNAL counts as authenticated.
    TakesAnotherNameAfterSasl,
    /// Any authoritative server may answer any open question.
    TakesAnswersOfAllAuthorities,
    /// Addresses may have any form.
    TakesAnyAddress,
    /// A verified sender may send to any domain of the double.
    TakesAnyDomainOfOurs,
    /// Any mechanism is taken for EXTERNAL.
    TakesAnyMechanism,
    /// A verified stream may send in any name.
    TakesAnySender,
    /// Whoever shows a certificate needs no key.
    TakesCertificatesForKeys,
    /// A `db:result` of type `error` counts as valid.
    TakesErrorsForValid,
    /// The id in the partner's header becomes that of the stream.
    TakesIdsOfPartners,
    /// A `db:result` of type `invalid` counts as valid.
    TakesInvalidForValid,
    /// Where TLS is required, a key in clear is verified.
    TakesKeysInClear,
    /// A key in the name of a domain of ours counts unasked.
    TakesKeysInOurName,
    /// Keys are verified although dialback is off.
    TakesKeysWithoutDialback,
    /// Required TLS is optional.
    TakesRequiredForOptional,
    /// An answer for a further domain makes its stream the way there.
    TakesRoutesFromAnswers,
    /// After a bad answer to a key, a good one counts.
    TakesSecondThoughts,
    /// Stanzas count on a stream that the double opened.
    TakesStanzasTheWrongWay,
    /// A `db:result` of an unknown type counts as valid.
    TakesUnknownAnswersForValid,
    /// EXTERNAL is used whatever the certificate of the server.
    TrustsAnyServer,
    /// Certificates of any authority are good.
    TrustsEveryAuthority,
    /// A key has a type.
    TypedKeys,
    /// Dialback is used although it is off.
    UsesDialbackAlways,
    /// EXTERNAL is used without TLS.
    UsesExternalInClear,
    /// Keys are verified without TLS, even where it is required.
    VerifiesInClear,
    /// A server that does not answer is waited for as long as a whole negotiation may take.
    WaitsForOneServer,
    /// Strangers may stay as long as they like.
    WaitsForStrangers,
    /// Where the stream ends before the answer to a key, the answer is still waited for.
    WaitsOnAfterTheEnd,
    /// A wildcard covers names of any depth.
    WildcardAtAnyDepth,
    /// A wildcard covers its parent.
    WildcardForItsParent,
}
