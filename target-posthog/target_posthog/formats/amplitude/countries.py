"""Countries by the English names that Amplitude's geo look-up gives, with other spellings of them.

Codes are ISO 3166-1; continents and names are those of GeoNames, which PostHog's own look-up
(MaxMind) uses too. PostHog's maps know a country by its code alone.
"""

from __future__ import annotations

from typing import Any

#: Continent code and name → one country a line: code, name, other names.
_CONTINENTS = {
    ("AF", "Africa"): """
        AO Angola
        BF Burkina Faso
        BI Burundi
        BJ Benin
        BW Botswana
        CD DR Congo|Democratic Republic of the Congo|Congo (Kinshasa)|Congo - Kinshasa
        CF Central African Republic
        CG Congo Republic|Republic of the Congo|Congo|Congo (Brazzaville)|Congo - Brazzaville
        CI Ivory Coast|Côte d'Ivoire|Cote D'Ivoire
        CM Cameroon
        CV Cabo Verde|Cape Verde
        DJ Djibouti
        DZ Algeria
        EG Egypt
        EH Western Sahara
        ER Eritrea
        ET Ethiopia
        GA Gabon
        GH Ghana
        GM Gambia|The Gambia
        GN Guinea
        GQ Equatorial Guinea
        GW Guinea-Bissau
        KE Kenya
        KM Comoros
        LR Liberia
        LS Lesotho
        LY Libya|Libyan Arab Jamahiriya
        MA Morocco
        MG Madagascar
        ML Mali
        MR Mauritania
        MU Mauritius
        MW Malawi
        MZ Mozambique
        NA Namibia
        NE Niger
        NG Nigeria
        RE Réunion|Reunion
        RW Rwanda
        SC Seychelles
        SD Sudan
        SH Saint Helena|St Helena|St. Helena
        SL Sierra Leone
        SN Senegal
        SO Somalia
        SS South Sudan
        ST São Tomé and Príncipe|Sao Tome and Principe|São Tomé & Príncipe
        SZ Eswatini|Swaziland
        TD Chad
        TG Togo
        TN Tunisia
        TZ Tanzania|United Republic of Tanzania|Tanzania, United Republic of
        UG Uganda
        YT Mayotte
        ZA South Africa
        ZM Zambia
        ZW Zimbabwe
    """,
    ("AN", "Antarctica"): """
        AQ Antarctica
        BV Bouvet Island
        GS South Georgia and the South Sandwich Islands|South Georgia & South Sandwich Islands
        HM Heard and McDonald Islands|Heard Island and McDonald Islands|Heard & McDonald Islands
        TF French Southern Territories
    """,
    ("AS", "Asia"): """
        AE United Arab Emirates
        AF Afghanistan
        AM Armenia
        AZ Azerbaijan
        BD Bangladesh
        BH Bahrain
        BN Brunei|Brunei Darussalam
        BT Bhutan
        CC Cocos (Keeling) Islands|Cocos [Keeling] Islands
        CN China
        GE Georgia
        HK Hong Kong|Hong Kong SAR China
        ID Indonesia
        IL Israel
        IN India
        IO British Indian Ocean Territory
        IQ Iraq
        IR Iran|Iran, Islamic Republic of|Islamic Republic of Iran
        JO Jordan|Hashemite Kingdom of Jordan
        JP Japan
        KG Kyrgyzstan
        KH Cambodia
        KP North Korea|Korea, Democratic People's Republic of
        KR South Korea|Republic of Korea|Korea, Republic of|Korea
        KW Kuwait
        KZ Kazakhstan
        LA Laos|Lao People's Democratic Republic
        LB Lebanon
        LK Sri Lanka
        MM Myanmar|Myanmar (Burma)|Myanmar [Burma]|Burma
        MN Mongolia
        MO Macao|Macau|Macao SAR China
        MV Maldives
        MY Malaysia
        NP Nepal
        OM Oman
        PH Philippines
        PK Pakistan
        PS Palestine|Palestinian Territories|Palestinian Territory|State of Palestine
        QA Qatar
        SA Saudi Arabia
        SG Singapore
        SY Syria|Syrian Arab Republic
        TH Thailand
        TJ Tajikistan
        TM Turkmenistan
        TR Türkiye|Turkey
        TW Taiwan|Taiwan, Province of China
        UZ Uzbekistan
        VN Vietnam|Viet Nam
        YE Yemen
    """,
    ("EU", "Europe"): """
        AD Andorra
        AL Albania
        AT Austria
        AX Åland Islands|Åland|Aland Islands
        BA Bosnia and Herzegovina|Bosnia & Herzegovina
        BE Belgium
        BG Bulgaria
        BY Belarus
        CH Switzerland
        CY Cyprus
        CZ Czechia|Czech Republic
        DE Germany
        DK Denmark
        EE Estonia
        ES Spain
        FI Finland
        FO Faroe Islands
        FR France
        GB United Kingdom|Great Britain|UK
        GG Guernsey
        GI Gibraltar
        GR Greece
        HR Croatia
        HU Hungary
        IE Ireland
        IM Isle of Man
        IS Iceland
        IT Italy
        JE Jersey
        LI Liechtenstein
        LT Lithuania|Republic of Lithuania
        LU Luxembourg
        LV Latvia
        MC Monaco
        MD Moldova|Republic of Moldova|Moldova, Republic of
        ME Montenegro
        MK North Macedonia|Macedonia|Macedonia, The Former Yugoslav Republic of
        MT Malta
        NL Netherlands|The Netherlands
        NO Norway
        PL Poland
        PT Portugal
        RO Romania
        RS Serbia
        RU Russia|Russian Federation
        SE Sweden
        SI Slovenia
        SJ Svalbard and Jan Mayen|Svalbard & Jan Mayen
        SK Slovakia
        SM San Marino
        UA Ukraine
        VA Vatican City|Holy See
        XK Kosovo
    """,
    ("NA", "North America"): """
        AG Antigua and Barbuda|Antigua & Barbuda
        AI Anguilla
        AW Aruba
        BB Barbados
        BL Saint Barthélemy|St. Barthélemy|Saint Barthelemy
        BM Bermuda
        BQ Bonaire, Sint Eustatius, and Saba|Bonaire, Sint Eustatius and Saba|Caribbean Netherlands
        BS Bahamas|The Bahamas
        BZ Belize
        CA Canada
        CR Costa Rica
        CU Cuba
        CW Curaçao|Curacao
        DM Dominica
        DO Dominican Republic
        GD Grenada
        GL Greenland
        GP Guadeloupe
        GT Guatemala
        HN Honduras
        HT Haiti
        JM Jamaica
        KN St Kitts and Nevis|Saint Kitts and Nevis|St. Kitts & Nevis
        KY Cayman Islands
        LC St Lucia|Saint Lucia|St. Lucia
        MF Saint Martin|St. Martin|Saint Martin (French part)
        MQ Martinique
        MS Montserrat
        MX Mexico
        NI Nicaragua
        PA Panama
        PM Saint Pierre and Miquelon|St. Pierre & Miquelon
        PR Puerto Rico
        SV El Salvador
        SX Sint Maarten|Sint Maarten (Dutch part)
        TC Turks and Caicos Islands|Turks & Caicos Islands
        TT Trinidad and Tobago|Trinidad & Tobago
        US United States|United States of America|USA
        VC St Vincent and Grenadines|Saint Vincent and the Grenadines|St. Vincent & Grenadines
        VG British Virgin Islands|Virgin Islands, British
        VI U.S. Virgin Islands|Virgin Islands, U.S.
    """,
    ("OC", "Oceania"): """
        AS American Samoa
        AU Australia
        CK Cook Islands
        CX Christmas Island
        FJ Fiji
        FM Federated States of Micronesia|Micronesia|Micronesia, Federated States of
        GU Guam
        KI Kiribati
        MH Marshall Islands
        MP Northern Mariana Islands
        NC New Caledonia
        NF Norfolk Island
        NR Nauru
        NU Niue
        NZ New Zealand
        PF French Polynesia
        PG Papua New Guinea
        PN Pitcairn Islands|Pitcairn
        PW Palau
        SB Solomon Islands
        TK Tokelau
        TL Timor-Leste|East Timor
        TO Tonga
        TV Tuvalu
        UM U.S. Outlying Islands|United States Minor Outlying Islands
        VU Vanuatu
        WF Wallis and Futuna|Wallis & Futuna
        WS Samoa
    """,
    ("SA", "South America"): """
        AR Argentina
        BO Bolivia|Bolivia, Plurinational State of
        BR Brazil
        CL Chile
        CO Colombia
        EC Ecuador
        FK Falkland Islands|Falkland Islands (Malvinas)
        GF French Guiana
        GY Guyana
        PE Peru
        PY Paraguay
        SR Suriname
        UY Uruguay
        VE Venezuela|Venezuela, Bolivarian Republic of
    """,
}

#: Name → (country code, continent code, continent name).
COUNTRIES: dict[str, tuple[str, str, str]] = {
    name: (line.strip()[:2], *continent)
    for continent, lines in _CONTINENTS.items()
    for line in lines.strip().splitlines()
    for name in line.strip()[3:].split("|")
}


def country_code(value: Any) -> str | None:
    """Return the country's ISO code, such as `GB`."""
    return _known(value, 0)


def continent_code(value: Any) -> str | None:
    """Return the code of the country's continent, such as `EU`."""
    return _known(value, 1)


def continent_name(value: Any) -> str | None:
    """Return the name of the country's continent, such as `Europe`."""
    return _known(value, 2)


def _known(value: Any, part: int) -> str | None:
    country = COUNTRIES.get(value) if isinstance(value, str) else None
    return None if country is None else country[part]
