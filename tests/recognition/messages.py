"""Messages to an Italian wholesaler, each with the topic that a person would file it under; `""`: stay where you are.

Written for this test. Every second one (of each label) is held out: no rule, weight or list was ever changed because of
what became of it.
"""

DESCRIPTIONS = {
    "ordini": "Ordini e riordini: ordinare merce, prenotare, aggiungere articoli, togliere articoli, quantità, sacchi "
    "cartoni bancali pezzi casse, annullare, modificare un ordine, conferma d'ordine, disponibilità a magazzino",
    "consegne": "Consegne e spedizioni: corriere, vettore, camion, furgone, autista, ritardo, tracking, indirizzo di "
    "scarico, orario di consegna, DDT, bolla, pacco, colli, spedire",
    "fatture": "Fatture e pagamenti: fattura elettronica, SDI, codice destinatario, nota di credito, IVA, scadenza, "
    "bonifico, RiBa, IBAN, estratto conto, sollecito, pagare, saldo, ritenuta, amministrazione",
    "assistenza": "Assistenza tecnica: guasto, macchina ferma, errore sul display, non si accende, si blocca, in "
    "blocco, spia che lampeggia, fumo, manuale, libretto di istruzioni, ricambi, riparazione, tecnico, manutenzione, "
    "installazione, garanzia, perdita d'acqua, rumore, temperatura",
    "preventivi": "Preventivi e offerte: prezzo, listino, quotazione, sconto, costo, quanto costa, offerta, stima, "
    "economico, campione, catalogo, nuova fornitura, condizioni commerciali",
    "resi": "Resi e reclami: restituire, rendere, merce danneggiata, rotto, bucato, ammaccato, scheggiato, respinto, "
    "sbagliato, difettoso, scaduto, mancante, sostituzione, rimborso, ritiro del reso, reclamo",
}

LABELLED: dict[str, str] = {
    "ordini": """
        Buongiorno, vorrei ordinare 20 sacchi di farina 00 per giovedì
        Ci rifate l'ordine della settimana scorsa?
        Mi aggiunge due cartoni di olio all'ordine di ieri?
        Posso ancora modificare l'ordine 4471?
        Devo annullare l'ordine fatto stamattina, abbiamo sbagliato quantità
        Avete disponibilità di mozzarella fiordilatte da 3 kg?
        Servono 3 bancali di acqua naturale per il magazzino di Brescia
        Buonasera, mi segnate 12 pezzi del codice AB-120?
        Per il riordino mensile le quantità sono le stesse di maggio
        L'ordine l'avete ricevuto? non ho avuto conferma
        Vorrei fare un nuovo ordine
        Mettetemi da parte 6 cartoni di prosecco
        Tolga pure i pomodori dall'ordine, li abbiamo ancora
        quanti sacchi di semola avete a magazzino?
        Salve, ordine per domani: 5 casse di arance, 3 di limoni
        Mi conferma l'ordine n. 882?
        ci servirebbero altri 40 rotoli di film estensibile
        Aggiungete anche 10 confezioni di guanti misura L
        Ordiniamo il solito, grazie
        Può raddoppiare la quantità di zucchero?
        Il nostro ufficio acquisti vi manda l'ordine via mail, riferimento OA-2231
        Invece di 10 cartoni facciamone 15
        Avete in magazzino le viti M8 zincate?
        Buongiorno, per la festa di sabato mi prepara 30 vaschette di gelato?
        vorrei prenotare 2 quintali di mangime
        Ho dimenticato una cosa nell'ordine: 4 bottiglie di aceto
        Si può ordinare anche a pezzo singolo?
        Qual è il minimo d'ordine per il caffè in grani?
        L'articolo 5530 torna disponibile?
        Fermate l'ordine per favore, devo cambiare la taglia delle divise
        Ordine urgente: 100 metri di tubo corrugato
        Mi mandi 8 fusti di birra chiara per il weekend
        Prendo anche le cialde, due scatole
        Avrei bisogno di riordinare i toner per la Ricoh
        Come faccio a fare un ordine dal portale?
        Facciamo 25 cartoni in totale
        """,
    "consegne": """
        A che ora passa il corriere domani?
        La spedizione di ieri non è ancora arrivata
        L'autista non trova il cancello, può chiamarci?
        Potete consegnare al magazzino di via Verdi invece che in negozio?
        Mi manda il tracking del pacco?
        Quando consegnate a Bergamo?
        Il camion è in ritardo, sappiamo qualcosa?
        Domani siamo chiusi, spostate la consegna a venerdì
        Avete già spedito?
        Il corriere dice che l'indirizzo è sbagliato
        Non abbiamo il muletto, serve la sponda idraulica per lo scarico
        Quanti colli sono?
        ci serve la bolla della consegna di lunedì
        Arriva oggi la merce?
        Consegna possibile prima delle 8?
        dove si trova il nostro pacco? il link non funziona
        Il DDT riporta la data sbagliata
        Sono tre giorni che aspettiamo la spedizione
        L'altro giorno il corriere ha lasciato tutto dal vicino
        Fate consegne anche al sabato?
        In quanti giorni arriva in Sardegna?
        Possiamo venire a ritirare noi in sede invece di aspettare il camion?
        il nuovo indirizzo di consegna è via Roma 12, Lodi
        Buongiorno, a che punto è la spedizione 77120?
        Vi avviso che c'è una ztl, il camion grande non passa
        L'autista ha chiesto di firmare ma mancava la bolla
        Chi vi fa le spedizioni in Svizzera?
        orario di scarico: solo dalle 6 alle 9
        La consegna di oggi è confermata?
        Il vettore mi ha chiamato ma non ho capito quando passa
        Spedite con BRT o GLS?
        Abbiamo cambiato sede, aggiornate l'indirizzo per favore
        ancora niente, il furgone non si è visto
        mi serve sapere se arriva in mattinata
        Il collo 2 di 3 risulta in giacenza
        Potreste anticipare la consegna a mercoledì?
        """,
    "fatture": """
        Mi rimandate la fattura di marzo?
        La fattura 231 non ci è arrivata sullo SDI
        Abbiamo fatto il bonifico ieri, potete verificare?
        Il codice destinatario è cambiato, ora è M5UXCR1
        Ci serve la nota di credito promessa a gennaio
        Quando scade la prossima RiBa?
        L'IVA in fattura dovrebbe essere al 10, non al 22
        Avrei bisogno dell'estratto conto al 30 giugno
        Mi date l'IBAN per il pagamento?
        Possiamo spostare la scadenza a fine mese?
        Abbiamo ricevuto un sollecito ma risulta già pagata
        Nella fattura manca il nostro numero d'ordine
        Buongiorno, la partita IVA indicata è quella vecchia
        vorremmo passare a pagamento 60 giorni data fattura
        C'è una differenza di 12 euro tra fattura e DDT
        La pec per l'amministrazione qual è?
        Dovreste stornare la fattura 98 e rifarla intestata alla Srl
        Il pagamento è partito stamattina
        Mi passa l'amministrazione?
        Fattura doppia: la 310 e la 311 sono uguali
        Quanto vi dobbiamo in totale a oggi?
        il saldo di luglio l'avete incassato?
        Manca lo split payment in fattura
        Vi ho mandato la contabile del bonifico
        Potete emettere fattura differita?
        Accettate assegni?
        Serve la dichiarazione d'intento per l'esenzione IVA
        ho bisogno delle fatture del primo trimestre in pdf
        Ci avete addebitato due volte la stessa RiBa
        Siamo in split payment, ricordatevelo
        Il CIG va riportato in fattura
        Quando ci arriva la nota credito?
        Si può pagare con carta?
        Non riesco ad aprire la fattura elettronica che avete mandato
        la ritenuta non è stata calcolata
        Qual è il fido che ci resta?
        """,
    "assistenza": """
        L'impastatrice non parte più
        La macchina del caffè dà errore E12 sul display
        Il forno non scalda bene, potete mandare un tecnico?
        Dove trovo il manuale della lavastoviglie?
        È ancora in garanzia il frigorifero?
        Fa un rumore strano quando si accende
        Ci serve la guarnizione di ricambio per la cella
        il display resta nero
        Buongiorno, la stampante si blocca di continuo
        Quando viene il tecnico per la manutenzione?
        Come si imposta la temperatura sul nuovo abbattitore?
        Perde acqua da sotto
        Siamo fermi con la linea 2, urgente!
        L'affettatrice si è rotta, la riparate voi?
        Il POS non si collega al wifi
        Mi spiega come si sostituisce il filtro?
        Lampeggia una spia rossa e poi si spegne
        serve un intervento in giornata, il banco frigo non raffredda
        La bilancia è starata di 20 grammi
        Che ricambio devo prendere per il modello TX200?
        Dopo l'ultimo aggiornamento il gestionale si chiude da solo
        Non riesco ad accedere al portale, password non valida
        Il compressore è andato in blocco
        installazione: ci sono requisiti per l'impianto elettrico?
        Avete un centro assistenza in zona Verona?
        Il tecnico è venuto ma il guasto c'è ancora
        Ogni quanto va fatta la manutenzione?
        La lama non gira
        Ho resettato ma dà sempre lo stesso errore
        Il muletto non carica la batteria
        esce fumo dal motore
        Si può prolungare la garanzia?
        manca il libretto di istruzioni nella scatola della planetaria
        Problema con la cella: temperatura a 9 gradi
        lo scanner non legge i codici a barre
        Chi fa la taratura annuale?
        """,
    "preventivi": """
        Quanto costa la farina Manitoba al quintale?
        Mi fate un preventivo per 200 sedie?
        Avete un listino aggiornato?
        Che sconto ci fate su 10 bancali?
        Potreste inviarci il catalogo 2026?
        Vorremmo un'offerta per una fornitura annuale di detersivi
        Prezzo del toner HP 305?
        Ci interessa la vostra linea bio, a quanto la vendete?
        Il preventivo 118 è ancora valido?
        Si può avere un campione prima di decidere?
        Rispetto all'anno scorso il prezzo è aumentato?
        Buongiorno, stiamo aprendo un ristorante e cerchiamo un fornitore
        Mi manda la quotazione per il modello da 60 litri?
        Che condizioni fate ai rivenditori?
        Quanto verrebbe con il trasporto incluso?
        Abbiamo un'offerta più bassa da un concorrente, riuscite a migliorare?
        Aspetto il vostro preventivo da una settimana
        C'è una promozione sul caffè questo mese?
        prezzo a pezzo e a cartone per favore
        Potete quotare la stessa cosa in acciaio inox?
        Qual è il costo della manutenzione annuale?
        Serve un'offerta entro venerdì per la gara
        Sono interessato ai vostri prodotti per celiaci
        Fate prezzi migliori se prendiamo tutto il camion?
        Mi può fare una stima per rifare il bancone?
        Il listino è iva esclusa?
        quant'è al chilo il parmigiano 24 mesi?
        Vorrei capire quanto spenderei per 50 divise ricamate
        Accettiamo il preventivo, procedete pure
        Nel preventivo manca la voce trasporto
        Prezzi per grossisti?
        Ci fate un prezzo per la stagione?
        È trattabile la cifra?
        Vi chiedo una quotazione per 3000 sacchetti stampati
        Avete un prodotto simile ma più economico?
        sconto quantità da quanti pezzi?
        """,
    "resi": """
        Due sacchi sono arrivati bucati
        Vorrei restituire le scarpe antinfortunistiche, taglia sbagliata
        Nel pacco c'era un articolo che non avevamo chiesto
        La merce è danneggiata, vi mando le foto
        Il latte consegnato oggi scade domani, non lo possiamo accettare
        Mancano 3 bottiglie nel cartone
        Come funziona per il reso?
        Vogliamo il rimborso della cassa marcia
        Avete mandato il modello sbagliato
        Quando passate a ritirare il reso?
        Il prodotto è difettoso, serve una sostituzione
        Metà delle piastrelle sono rotte
        Abbiamo aperto un reclamo 10 giorni fa e nessuno risponde
        la confezione era aperta, non mi fido a usarla
        Vi rendiamo 4 cartoni invenduti?
        Il colore non è quello che avevamo scelto, ve lo rimandiamo
        Bancale arrivato bagnato, respinto con riserva
        entro quanti giorni si può rendere?
        Le uova erano quasi tutte rotte
        Mi serve il modulo per il reso
        Sono deluso, è la seconda volta che sbagliate articolo
        Il lotto L2231 ha un odore strano, lo dobbiamo ritirare dalla vendita?
        Ho ricevuto 8 pezzi al posto di 10
        Cambio merce: la taglia M è troppo piccola
        il reso l'avete ricevuto?
        Chi paga la spedizione del reso?
        Una delle lampade è arrivata scheggiata
        Vorrei contestare la qualità dell'ultima fornitura
        Ammaccature su tutte le lattine, non le vogliamo
        Serve l'autorizzazione per rispedire i toner non compatibili?
        I pomodori sono da buttare
        Rimborso ancora non visto, reso del 3 marzo
        C'è un buco nella rete, me la cambiate?
        abbiamo trovato un corpo estraneo nel prodotto
        la quantità era giusta ma il formato no, da restituire
        merce scaduta da due giorni sul bancale di oggi
        """,
    "": """
        Buongiorno
        Ok grazie mille
        👍
        Va bene, a domani
        Sì
        No, l'altro
        Perfetto, attendo
        Scusi il ritardo nella risposta, ero in riunione
        C'è qualcuno?
        Mi può richiamare?
        Come sta? Passate buone ferie?
        Grazie, gentilissima come sempre
        Un attimo che controllo
        Allora?
        Può ripetere?
        Non ho capito
        quello blu
        3
        Esatto, quello di prima
        Ci sentiamo lunedì
        Ha visto la partita ieri sera?
        Auguri di buon anno a tutti voi!
        Siete aperti il 2 giugno?
        Cercate personale? Mia figlia ha appena finito la scuola
        Mi gira il numero del signor Bianchi?
        Non sono più io il responsabile, scriva a Marta
        Ho cambiato numero, questo è quello nuovo
        Vorrei parlare con una persona, non con un bot
        Da che parte si arriva da voi con la metro?
        Chi vince secondo lei le elezioni?
        Per la consegna e la fattura sentiamoci dopo
        Ho due cose: un reso e un preventivo
        Ordine, consegna e pagamento tutto insieme?
        Ne parliamo quando passo in sede
        mi faccia sapere
        ah ecco, adesso vedo
        Entro quando?
        Il 15 va bene
        Lasci stare, ho risolto
        Ma siete sicuri?
        Non funziona così tra noi, ci conosciamo da vent'anni
        Buona domenica
        Le mando una foto
        ??
        Sto guidando, scrivo dopo
        Ottimo lavoro ragazzi
        Che tempo fa lì da voi?
        ho capito, procedete
        La ringrazio per la disponibilità
        Scriva pure in amministrazione e anche al magazzino
        Mi conferma?
        Aspetto notizie
        quanti?
        Come da accordi
        Vale anche per gli altri?
        Non è il momento, stiamo servendo
        posso pagare il corriere alla consegna?
        Avete sbagliato di nuovo!
        È la stessa di prima o quella nuova?
        haha grazie
        Domanda veloce
        Le spiego tutto a voce
        Il solito problema
        Mi scusi, messaggio inviato per errore
        prego
        Il nostro contatto è in ferie fino al 20
        Speriamo bene
        In che senso?
        Ne ho bisogno entro stasera
        Tutto a posto
        Può mandarmelo via mail?
        Facciamo così
        """,
}

Message = tuple[str, str]


def labelled(*, held_out: bool) -> list[Message]:
    """One half of the set, as (topic, text)."""
    return [
        (topic, line.strip())
        for topic, block in LABELLED.items()
        for line in [one for one in block.strip().splitlines() if one.strip()][held_out::2]
    ]
