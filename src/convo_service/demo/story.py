"""The story: five weeks in the WhatsApp of Molino Bianchi, who sells flour to bakeries and pizzerias (see `script`)."""

from convo_service.demo.script import customer

# Writes every day: fills conversations up to the cap in the middle of talk; then closed for eleven days.
LUCA = customer(
    "+39 333 000 0101",
    """
@ 0 06:48
> Buongiorno, sono Luca del Panificio Conti. Mi servono 25 sacchi di 00 Classica per mercoledì
< Buongiorno Luca! 25 sacchi di 00 Classica W260 da 25 kg per mercoledì 30: a 19,80 € al sacco sono 495,00 € più IVA.
  Confermo?
> sì confermo. mi raccomando prima delle 7, dopo abbiamo il banco da servire e non posso scaricare
< Ordine 4471 confermato: 25 sacchi di Classica, mercoledì 30 prima delle 7 in via Mazzini 12.
> via Mazzini è il negozio, il laboratorio è in via dell'Artigianato 8. scaricate sempre lì
< Corretto: scarico al laboratorio di via dell'Artigianato 8. Ordine 4471 aggiornato.
> grazie. il lievito fresco lo tenete?
< Sì, cartoni da 20 panetti da 500 g: 28,00 € a cartone. Viaggia insieme alla farina.
> allora aggiungi 2 cartoni
< Aggiunti 2 cartoni di lievito fresco: l'ordine 4471 sale a 551,00 € più IVA.
@ 1 18:20
> sono sempre Luca, la fattura di settembre quando arriva?
< La riepilogativa parte domani, mercoledì 30, al vostro codice SDI. Pagamento con bonifico a 30 giorni fine mese.
> il codice SDI è cambiato, adesso è XK4T0P9
< Preso nota: nuovo codice SDI XK4T0P9.
@ 2 06:31
> il camion è arrivato alle 6.20, perfetto. però ci sono 3 sacchi bagnati in fondo al bancale
< Mi dispiace, Luca. Mi manda una foto e il numero del DDT? Apro subito il reclamo.
> DDT 2210. la foto dopo che adesso ho le mani in pasta
< Con calma. Reclamo R-118 aperto sul DDT 2210 per 3 sacchi di Classica bagnati.
> +5400s foto mandata. li ho messi da parte, li riprendete voi?
< Ricevuta. Li ritira l'autista alla prossima consegna. Preferisce la nota di credito o 3 sacchi in sostituzione?
> 3 sacchi nuovi, ma non oggi che non ho posto
< D'accordo: 3 sacchi di Classica in sostituzione con la prossima consegna, senza addebito.
@ 3 19:05
> buonasera, per sabato riesci a farmi 20 di Classica e 5 di integrale?
< Certo: 20 Classica e 5 Integrale a 21,90 €, più i 3 sacchi di sostituzione del reclamo R-118. Confermo per sabato 3?
> sì. sempre in laboratorio, sempre prima delle 7
< Ordine 4488 confermato, sabato 3 prima delle 7 in via dell'Artigianato 8.
> quanto viene?
< 20 a 19,80 € e 5 a 21,90 € fanno 505,50 € più IVA. I 3 sacchi di sostituzione non si pagano.
@ 4 11:40
> una domanda tecnica: con la Classica sulle lievitazioni lunghe faccio fatica, dopo 18 ore l'impasto mi cede
< La Classica W260 regge bene 8-12 ore. Per 18-24 ore in frigo serve la Forte W330, 23,50 € al sacco.
> e se le taglio metà e metà?
< Molti clienti fanno 60% Classica e 40% Forte: tiene 18 ore e il sacco costa circa 1,50 € in più.
> ok provo. mettimi 2 sacchi di Forte con quelli di domani
< Aggiunti 2 sacchi di Forte W330: l'ordine 4488 sale a 552,50 € più IVA.
@ 5 06:50
> arrivato tutto, stavolta asciutto 👍
< Bene! L'autista ha ritirato i 3 sacchi bagnati?
> no, ha detto che lui non ne sapeva niente
< Mi scuso: il ritiro del reclamo R-118 resta aperto, lo metto a lunedì.
> lunedì mattina siamo chiusi, passate dopo le 15
< Annotato: ritiro lunedì 5 dopo le 15, in laboratorio.
@ 6 18:30
> buonasera, lo so che è domenica. per mercoledì di nuovo 25 sacchi come l'altra volta
< Buonasera Luca! 25 di Classica per mercoledì 7, laboratorio, prima delle 7: 495,00 € più IVA. Anche i 2 cartoni di
  lievito?
> il lievito sì. la Forte per ora no, la sto ancora provando
< Ordine 4503: 25 Classica e 2 cartoni di lievito fresco, 551,00 € più IVA.
@ 7 15:40
> sono le 15.40 e per i sacchi bagnati non è ancora passato nessuno
< Controllo: l'autista è a Castelfranco, da voi arriva entro le 16.30.
> va bene ma non dopo, alle 17 chiudo e vado via
< L'ho avvisato: entro le 16.30, altrimenti la chiama lui.
> +2400s è passato adesso, i 3 sacchi li ha caricati. però mi ha lasciato un DDT che non torna
< Grazie, Luca. Che cosa non torna sul DDT del ritiro?
> c'è scritto 5 sacchi resi, ma erano 3
< Ha ragione, erano 3: correggo il DDT 2231 e lo segnalo in amministrazione.
> ecco, se no mi fate la nota di credito sbagliata
< Nessuna nota di credito: i 3 sacchi sono già stati sostituiti. Chiudo il reclamo.
@ 8 20:10
> per domani invece di 25 fammene 30, che c'è la fiera
< Fatto: ordine 4503 a 30 sacchi di Classica più 2 cartoni di lievito, 650,00 € più IVA. Il camion parte alle 4.
> grande
< Buon lavoro per la fiera!
@ 9 06:55
> consegna ok alle 6.35. il bancale però era rotto, due assi spaccate. la farina è a posto
< Grazie della segnalazione: il pallet rotto lo ritiriamo mercoledì prossimo. Serve altro?
> mandami la scheda tecnica della Forte
< Forte W330: P/L 0,60, proteine 14%, assorbimento 58-60%, adatta a 18-24 ore in frigo.
> perfetto
< A disposizione.
@ 10 18:45
> per sabato 20 di Classica, 5 di integrale e stavolta 4 di Forte, che la prova è andata bene
< Ottimo! 20 Classica, 5 Integrale e 4 Forte per sabato 10: 599,50 € più IVA. Confermo?
> confermo, soliti posto e orario
< Ordine 4527 confermato: laboratorio, prima delle 7.
> +600s senti, sulla Forte se ne prendo di più me lo fai un prezzo?
< Da 10 sacchi a consegna 22,80 € invece di 23,50 €; dal bancale intero, 40 sacchi, 22,10 €.
> non subito, ma mi interessa. vale per tutto il mese?
< Sì, fino al 31 ottobre.
> ok allora me lo segno, 22,80 per 10 sacchi di Forte
< Segnato anche qui. A sabato!
@ 12 07:14
> stamattina il camion è arrivato alle 7.10, eravamo d'accordo prima delle 7
< Ha ragione Luca, mi scuso: c'era un incidente in tangenziale.
> può capitare, però avvisate. ha dovuto scaricare la commessa
< Giusto. Da ora in caso di ritardo l'autista chiama prima delle 6.30. A quale numero?
> il mio, questo qui da cui scrivo
< Segnato: in caso di ritardo l'autista chiama Luca prima delle 6.30.
@ 13 17:50
> per mercoledì solito ordine, 25 e il lievito
< 25 Classica e 2 cartoni di lievito fresco, mercoledì 14 prima delle 7 in laboratorio: 551,00 € più IVA. Confermo?
> sì
< Ordine 4549 confermato.
@ 15 16:20
> è arrivata la fattura 1834 di settembre ma c'è ancora il codice SDI vecchio
< Mi dispiace: è partita prima della modifica. La stornano e la riemettono con il codice XK4T0P9.
> la scadenza resta quella?
< Sì, 31 ottobre.
> e i solleciti mandateli ad amministrazione@panificioconti.example, non a me
< Registrato: solleciti ad amministrazione@panificioconti.example.
@ 16 06:40
> arrivati alle 6.25, bravi. ritirato anche il bancale rotto
< Ottimo, grazie della conferma.
> da lunedì 19 a mercoledì 28 siamo chiusi, cambiamo il forno
< Preso nota: chiusi dal 19 al 28 ottobre. Per sabato 17 ripeto l'ordine di sabato scorso?
> no, facciamo solo 10 di Classica e 3 di integrale, se no mi resta lì
< Ordine 4571: 10 Classica e 3 Integrale, sabato 17 prima delle 7, 263,70 € più IVA.
@ 17 19:30
> per sabato aggiungi un cartone di lievito
< Aggiunto 1 cartone di lievito fresco: ordine 4571 a 291,70 € più IVA.
> uno solo eh, non due come al solito
< Uno solo: ordine 4571 con 10 Classica, 3 Integrale e 1 cartone di lievito.
> e sabato puntuali per favore, che poi spengo il forno e vado via
< Lo scrivo sulla bolla: sabato 17 tassativo prima delle 7.
@ 19 06:44
> arrivati alle 6.30 ✌️ ci risentiamo a lavori finiti
< Buoni lavori Luca! A giovedì 29.
@ 31 06:20
> eccoci, forno nuovo acceso! per sabato il solito ordine del sabato
< Bentornato Luca! 20 Classica, 5 Integrale e 4 Forte, sabato 31 prima delle 7?
> esatto, ma la Forte portala a 10: avevi detto 22,80 fino a fine mese
< Confermo, da 10 sacchi 22,80 €. 20 Classica, 5 Integrale e 10 Forte: 733,50 € più IVA.
> e 2 cartoni di lievito come prima dei lavori
< Ordine 4630 con 2 cartoni di lievito fresco: 789,50 € più IVA.
> la fattura di settembre poi l'avete riemessa?
< Sì: la 1834 è stornata, la nuova è la 1871 con il codice SDI XK4T0P9. Scadenza 31 ottobre.
> attenzione che per i lavori il portone grande è chiuso, si scarica dal cortile dietro, in via dei Tigli
< Annotato per l'autista: scarico dal cortile sul retro, ingresso da via dei Tigli.
@ 33 06:10
> consegna perfetta, dal cortile si fa pure prima
< Ottimo! Lasciamo via dei Tigli come punto di scarico?
> sì. domani e lunedì siamo chiusi, Ognissanti e i Morti
< Annotato: chiusi domenica 1 e lunedì 2. Buon ponte!
""",
    name="Luca",
    last_name="Conti",
    ragione_sociale="Panificio Conti Srl",
    email="luca@panificioconti.example",
)

# Comes back after pauses of 3 to 11 days, each time about the last time.
GIULIA = customer(
    "+39 333 000 0102",
    """
@ 0 10:15
> Buongiorno, siamo la Pizzeria Al Lampione di Mestre. Avete una farina da pizza per 24 ore di lievitazione?
< Buongiorno! Sì, la 0 Pizza W280, fatta per le 24 ore: 20,60 € al sacco da 25 kg.
> consegnate a Mestre? in che giorni?
< Martedì e venerdì. Da 10 sacchi la consegna è gratuita, sotto c'è un contributo di 18,00 €.
> allora 12 sacchi per venerdì. al mattino siamo chiusi però, c'è qualcuno dalle 10.30
< Va bene: venerdì 2, 12 sacchi di 0 Pizza dopo le 10.30, 247,20 € più IVA. A chi intesto la fattura?
> Pizzeria Al Lampione Snc, P.IVA 01234560001, via dei Salici 40
< Ordine 4479 confermato per venerdì 2 dopo le 10.30, via dei Salici 40 a Mestre. Con chi parlo?
> Giulia Ferri
< Grazie Giulia, a venerdì!
@ 8 11:30
> ciao, sono Giulia della pizzeria. la farina va benissimo, altri 12 sacchi come l'altra volta
< Ciao Giulia! 12 sacchi di 0 Pizza W280 a 20,60 €, 247,20 € più IVA. Venerdì 9 dopo le 10.30?
> sì venerdì. pelati ne avete?
< Sì, cartone da 6 latte da 2,5 kg: 21,60 €.
> 3 cartoni, così li provo
< Ordine 4507: 12 sacchi di 0 Pizza e 3 cartoni di pelati, 312,00 € più IVA.
> come si paga? la prima volta ho dato i contanti all'autista
< Può passare al bonifico a 30 giorni: mi serve solo la PEC per la fattura.
> allampione@pec.example
< Registrata. Da questo ordine bonifico a 30 giorni.
@ 11 12:05
> arrivata la merce ma un sacco è bucato, ha perso mezza farina per strada
< Mi dispiace, Giulia. L'ha segnato sul DDT prima di firmare?
> sì, ho scritto "1 sacco rotto" e firmato con riserva
< Ha fatto bene. Reclamo R-124: le accredito il sacco intero, 20,60 €, nella fattura di ottobre.
> grazie, gentilissimi
< Grazie a lei.
@ 22 10:50
> buongiorno, la solita farina. facciamo 15 che arriva il ponte
< Buongiorno Giulia! 15 sacchi di 0 Pizza per venerdì 23 dopo le 10.30, 309,00 € più IVA. Anche i pelati?
> i pelati no, troppo acidi, torno ai miei
< Va bene, senza pelati. Ordine 4590 confermato.
> e il sacco bucato me l'avete poi scalato?
< Sì, i 20,60 € del reclamo R-124 sono in detrazione sulla fattura di ottobre.
> da novembre chiudiamo il martedì, quindi consegne solo di venerdì
< Annotato: da novembre chiusi il martedì, consegna solo il venerdì.
@ 32 15:40
> ciao, Giulia del Lampione. sono rimasta corta, riesci a farmi avere 10 sacchi domani?
< Ciao Giulia! Domani un furgone passa da Mestre alle 11: 10 sacchi di 0 Pizza, 206,00 € più IVA. Va bene?
> perfetto, alle 11 ci siamo
< Ordine 4641, consegna straordinaria sabato 31 alle 11, senza supplemento.
> siete dei tesori. e martedì niente, ricordati
< Certo, da novembre solo il venerdì: la prossima consegna è il 6.
""",
    name="Giulia",
    last_name="Ferri",
    ragione_sociale="Pizzeria Al Lampione Snc",
    email="info@allampione.example",
)

# Changes the subject with /new; the panettoni come back two weeks later.
ANNA = customer(
    "+39 333 000 0103",
    """
@ 1 09:30
> Buongiorno, sono Anna Moretti della pasticceria. Sto programmando i panettoni, che farina mi consigliate?
< Buongiorno Anna! Per i grandi lievitati la Manitoba W400, 27,90 € al sacco da 25 kg. Quanti ne prevede?
> l'anno scorso 600 da un chilo, quest'anno punto a 800
< Per 800 panettoni servono circa 320 kg di farina: 13 sacchi di Manitoba.
> burro e canditi li trattate?
< Sì: burro in cartoni da 10 kg a 88,00 €, cubetti di arancia candita in secchi da 5 kg a 41,50 €.
> mi fai un preventivo? 13 manitoba, 8 cartoni di burro, 6 secchi di arancia
< Preventivo P-302: 13 Manitoba, 8 cartoni di burro, 6 secchi di arancia candita, 1.315,70 € più IVA.
> lo guardo con mio marito. l'arancia però la voglio senza anidride solforosa
< Certo: sul preventivo P-302 scrivo arancia candita senza anidride solforosa.
@ 2 17:10
> visto il preventivo. il burro mi costa troppo, fammene metà
< Con 4 cartoni di burro il preventivo P-302 scende a 963,70 € più IVA.
> tienilo così, confermo a metà mese
< Va bene, resta valido fino al 20 ottobre.
> +45s /new
> mi è arrivato un sollecito per la fattura 1790 ma io l'ho già pagata
< Verifico subito. Ha la data e l'importo del bonifico?
> 14 settembre, 418,60 euro
< Trovato: è arrivato senza numero di fattura. Lo abbino alla 1790 e annullo il sollecito.
> e queste cose mandatele a conti@pasticceriamoretti.example, non a me
< Registrato: solleciti e fatture a conti@pasticceriamoretti.example.
@ 16 08:40
> buongiorno, sono Anna. confermo il preventivo dei panettoni, quello con metà burro
< Buongiorno Anna! P-302: 13 Manitoba, 4 cartoni di burro, 6 secchi di arancia senza anidride solforosa, 963,70 € più
  IVA. Quando consegniamo?
> farina e arancia subito, il burro dopo il 20 novembre che in cella non ho posto
< Ordine 4568: Manitoba e arancia martedì 20, burro dopo il 20 novembre.
> martedì siamo chiusi. mercoledì, dopo le 8.30
< Corretto: mercoledì 21 dopo le 8.30, in pasticceria.
@ 23 09:10
> farina arrivata, ma di arancia ho 5 secchi invece di 6
< Mi scuso, Anna. Il sesto secchio parte venerdì 23, senza contributo.
> venerdì va bene, dopo le 8.30 come sempre
< Confermato, venerdì 23 dopo le 8.30.
> +600s scatole per i panettoni ne avete?
< Sì, da 1 kg: 64,00 € la confezione da 100. Per 800 sono 512,00 €.
> troppo care, le ho viste a 52
< Per 8 confezioni posso scendere a 56,00 €: 448,00 € più IVA.
> a 56 le prendo, consegna insieme al burro
< Ordine 4596: 800 scatole a 448,00 € più IVA, con il burro dopo il 20 novembre.
""",
    name="Anna",
    last_name="Moretti",
    ragione_sociale="Pasticceria Moretti",
    email="anna@pasticceriamoretti.example",
)

# Opens a new conversation with /nuova and says in the same message what it is about.
SALVATORE = customer(
    "+39 333 000 0104",
    """
@ 3 07:20
> buongiorno, Salvatore del Forno Santa Lucia. la semola rimacinata a quanto la fate?
< Buongiorno Salvatore! Semola rimacinata di grano duro, 24,10 € al sacco da 25 kg. Da 20 sacchi 23,40 €.
> 20 allora. ma è grano italiano?
< Sì, grano duro di Puglia e Basilicata, raccolto 2026.
> bene, perché sul pane lo scrivo. mi mandate la dichiarazione?
< La allego al DDT. 20 sacchi di semola a 23,40 €: 468,00 € più IVA. Quando consegniamo?
> lunedì pomeriggio, la mattina dormo 😄
< Lunedì 5 tra le 15 e le 17. A quale indirizzo?
> via Garibaldi 3, Noale. c'è il gradino, ci vuole il camion con la sponda
< Ordine 4490: lunedì 5 tra le 15 e le 17, via Garibaldi 3 a Noale, camion con sponda.
@ 4 20:15
> /nuova trattate anche impastatrici usate?
< Macchinari no, mi dispiace. Posso darle il contatto di un tecnico che rivende usato revisionato.
> no grazie, cerco da privato. senti, la dichiarazione del grano me la mandi anche per mail?
< Certo. A quale indirizzo?
> forno@santaluciapane.example
< Inviata a forno@santaluciapane.example. Per la consegna di lunedì resta tutto confermato.
@ 14 16:40
> ciao, Salvatore. il pane con la vostra semola va a ruba, altri 20 sacchi come la prima volta
< Mi fa piacere! 20 sacchi di semola rimacinata a 23,40 €, 468,00 € più IVA. Lunedì pomeriggio?
> no, questa volta prima. giovedì?
< Ordine 4558: giovedì 15 tra le 15 e le 17, via Garibaldi 3 a Noale, camion con sponda.
> con la dichiarazione, mi raccomando
< Certo, dichiarazione di origine allegata al DDT.
@ 17 17:25
> oh, il camion era senza sponda! abbiamo scaricato 20 sacchi a mano
< Ha ragione, era scritto sull'ordine ed è un errore nostro. Le accredito 20,00 € per il disagio.
> ok, ma la prossima volta lo rimando indietro
< Ho messo un blocco: senza sponda il camion per Noale non parte.
@ 30 07:50
> buongiorno, finita la semola. 20 sacchi, il prezzo è sempre quello?
< Buongiorno Salvatore! Il listino è salito a 24,60 €, ma a lei per 20 sacchi tengo i 23,40 €.
> gentile. venerdì pomeriggio
< Ordine 4634: venerdì 30 tra le 15 e le 17, camion con sponda. 448,00 € più IVA, tolti i 20,00 € di accredito.
""",
    name="Salvatore",
    ragione_sociale="Forno Santa Lucia",
)

# Asks for a person; an operator settles it by phone and opens a new conversation by hand.
PAOLA = customer(
    "+39 333 000 0105",
    """
@ 2 14:20
> Salve, sono Paola Sartori dell'Hotel Belvedere. Devo cambiare l'indirizzo di consegna
< Buongiorno Paola. Qual è il nuovo indirizzo?
> dal 5 ottobre le farine vanno al magazzino di via dell'Industria 21, in hotel non più
< Registrato: da lunedì 5 ottobre consegna in via dell'Industria 21.
> dalle 8 alle 12, chiedere di Franco
< Perfetto: dalle 8 alle 12, referente Franco.
@ 3 09:05
> per la settimana prossima 6 sacchi di Classica e 2 di farina di riso
< 6 Classica a 19,80 € e 2 farina di riso a 17,60 €: 154,00 € più IVA. Sotto i 10 sacchi c'è il contributo di 18,00 €.
> il contributo non l'abbiamo mai pagato, c'è un accordo con il signor Bianchi dal 2019
< Non mi risulta. Registro l'ordine 4486 con il contributo di 18,00 €?
> no guardi, o senza contributo o lasciamo perdere
< Capisco, ma sotto i 10 sacchi la regola è 18,00 €.
> mi fa parlare con una persona per favore?
< Certo, passo la richiesta all'ufficio vendite.
! +3600s l'ufficio vendite ha chiamato Paola, l'accordo c'è; si riparte da capo
> +1800s ho parlato con il vostro collega, il contributo l'ha tolto. l'ordine allora è confermato?
< Sì Paola: ordine 4486, 6 Classica e 2 farina di riso, 154,00 € più IVA senza contributo, via dell'Industria 21.
> che giorno?
< Martedì 6 tra le 8 e le 12, referente Franco.
> grazie
< A lei, buon lavoro!
@ 11 10:30
> buongiorno, stesso ordine della settimana scorsa per martedì
< Buongiorno Paola! 6 Classica e 2 farina di riso, martedì 13 tra le 8 e le 12: 154,00 € più IVA, senza contributo.
> perfetto. Franco è in ferie, chiedete di Dario
< Ordine 4541, referente Dario per martedì 13.
@ 25 09:15
> buongiorno, il solito. però 3 di riso invece di 2, abbiamo un gruppo di celiaci
< Buongiorno Paola. Attenzione: la nostra farina di riso è da spolvero e non è certificata senza glutine.
> ah, meno male che l'ho detto! allora il riso lascialo a 2. per i celiaci avete qualcosa?
< Sì, un mix certificato senza glutine: cartone da 10 sacchetti da 1 kg, 38,00 €.
> uno, ma sigillato mi raccomando
< Ordine 4602: 6 Classica, 2 farina di riso e 1 mix senza glutine sigillato, 192,00 € più IVA, martedì 27.
> il referente è di nuovo Franco
< Annotato: referente Franco, dalle 8 alle 12.
""",
    name="Paola",
    last_name="Sartori",
    ragione_sociale="Hotel Belvedere Srl",
    email="economato@hotelbelvedere.example",
)

# Nobody knows him, and he never comes back.
PRIVATO = customer(
    "+39 333 000 0106",
    """
@ 9 21:40
> ciao, vendete anche ai privati?
< Buonasera! I privati possono comprare allo spaccio, il sabato dalle 9 alle 12.
> mi servono 5 kg di farina per la pizza in casa
< Allo spaccio c'è la 0 Pizza in sacchetti da 5 kg a 6,20 €. Siamo in via del Mulino 1 a Mirano.
> posso pagare col bancomat?
< Sì, bancomat o contanti.
> top, grazie
< Grazie a lei, buona serata!
""",
)

# Known by WhatsApp's own id, without a phone number; no company yet. One of his messages is delivered twice.
MARCO = customer(
    "IT.4f7c21d09be83a56",
    """
@ 4 11:00
> ciao! ho un food truck di pizza fritta, cerco una farina che regga bene la frittura
< Ciao! La 0 Pizza W280 va bene, oppure la Forte W330 se l'impasto riposa oltre 24 ore. Con chi parlo?
> Marco. impasto la sera e friggo a pranzo, saranno 14-16 ore
< Allora la 0 Pizza W280: 20,60 € al sacco da 25 kg.
> 4 sacchi si può o fate solo grandi quantità?
< Si può: 4 sacchi 82,40 € più IVA. Consegna 18,00 €, oppure li ritira da noi gratis.
> ritiro io sabato mattina
=
< Ordine 4493: ritiro sabato 3 dalle 8 alle 12, via del Mulino 1 a Mirano.
@ 5 12:10
> preso tutto, grazie. per la fattura vi mando i dati
< Mi servono ragione sociale, P.IVA e codice SDI o PEC.
> P.IVA 09876540001, il resto lo chiedo alla commercialista
< Registrata la P.IVA. Mancano ancora la ragione sociale e il codice SDI.
@ 15 17:30
> ciao, Marco del food truck. altri 4 sacchi come l'altra volta, ritiro sabato
< Ciao Marco! 4 sacchi di 0 Pizza W280, ritiro sabato 17 dalle 8 alle 12. Ragione sociale e codice SDI li ha già?
> la commercialista non mi ha ancora risposto 😅
< Nessun problema, me li scriva quando li ha.
> olio per friggere ne avete?
< Sì, girasole altoleico, tanica da 20 litri a 46,00 €.
> mettimene una
< Ordine 4566: 4 sacchi e 1 tanica, 128,40 € più IVA, ritiro sabato 17.
@ 29 18:05
> ehi, Marco. sabato ho una sagra grossa: 10 sacchi e 3 taniche d'olio, e stavolta me li portate voi
< Volentieri: 344,00 € più IVA e da 10 sacchi la consegna è gratuita. Dove e a che ora?
> Scorzè, campo dietro la chiesa, sabato alle 9
< Ordine 4627: sabato 31 alle 9 a Scorzè, campo dietro la chiesa.
> la ragione sociale è Fritto Vagabondo. il codice SDI ancora niente
< Grazie: intesto a Fritto Vagabondo, P.IVA 09876540001. Resta solo il codice SDI.
""",
    name="Marco",
)

# One of their messages was written without a network, and arrives three hours late.
SORELLE = customer(
    "+39 333 000 0108",
    """
@ 7 08:30
> Buongiorno, Pastificio Le Due Sorelle. La semola per la pasta fresca a quanto la fate?
< Buongiorno! Semola di grano duro, 22,80 € al sacco da 25 kg. Quanti sacchi al mese?
> circa 10. adesso la paghiamo 21,50 da un altro fornitore, riuscite a pareggiare?
< Con 10 sacchi fissi al mese arrivo a 21,60 €, consegna compresa.
> ci può stare, ma con riba a 60 giorni
< Con i clienti nuovi partiamo da RiBa a 30 giorni; dopo tre mesi passiamo a 60.
> ok, ne parlo con mia sorella
< Certo, l'offerta vale due settimane.
@ 8 18:10
> abbiamo deciso: 10 sacchi ogni primo giovedì del mese, riba a 30. questo mese partiamo da giovedì 8
< Ottimo! Giovedì 8, 10 sacchi di semola a 21,60 €: 216,00 € più IVA. Mi dà la P.IVA?
> 00112230001. l'IBAN ve lo manda la banca
< Ordine 4515 confermato per giovedì 8. A che ora?
> dopo le 9, prima siamo in produzione. e furgone piccolo, la strada è stretta
< Annotato: giovedì 8 dopo le 9, furgone piccolo.
@ 9 13:00
> per domani: suonate al 14, al 12 non c'è nessuno
< Perfetto, suoniamo al civico 14.
~ -10800s in che via avete segnato la consegna? noi siamo in via San Marco
< Via San Marco 14, furgone piccolo, domani dopo le 9.
> giusto, prima non avevo campo
< Nessun problema, a domani!
@ 10 10:20
> arrivati i 10 sacchi, però la semola è più fine di quella che usiamo
< Sul DDT 2249 risulta la rimacinata: per la pasta fresca serviva la grana grossa, l'errore è nostro.
> appunto. e 2 sacchi li abbiamo già aperti
< Lunedì 12 dopo le 9 portiamo 10 sacchi a grana grossa e ritiriamo gli 8 chiusi. I 2 aperti non si pagano.
> corretti, grazie
< È il minimo.
@ 14 11:00
> la semola giusta è arrivata 👌 gli 8 sacchi li ha ritirati il furgone
< Perfetto, chiudo il reclamo. In fattura trova solo i 10 sacchi a grana grossa, 216,00 € più IVA.
> l'IBAN dalla banca vi è arrivato?
< Sì, il 9 ottobre. La RiBa è impostata a 30 giorni.
@ 32 09:00
> buongiorno, giovedì 5 è il primo del mese: i soliti sacchi, ma 12 invece di 10 che partiamo con i tortellini
< Buongiorno! 12 sacchi di semola a grana grossa a 21,60 €, 259,20 € più IVA, giovedì 5 dopo le 9, furgone piccolo.
> perfetto. e le riba per ora sempre a 30?
< Sì, a 30 giorni; dopo tre mesi, da gennaio, passiamo a 60 come d'accordo. Ordine 4639.
""",
    ragione_sociale="Le Due Sorelle",
)

CAST = (LUCA, GIULIA, ANNA, SALVATORE, PAOLA, PRIVATO, MARCO, SORELLE)
