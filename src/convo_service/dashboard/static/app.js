// Draws the charts from the tables that stand beside them. Everything else works without a script.
(() => {
  "use strict";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const language = document.documentElement.lang;
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

  function read(table) {
    const rows = [...table.tBodies[0].rows];
    return {
      names: rows.map((row) => row.cells[0].textContent.trim()),
      series: [0, 1].map((which) => rows.map((row) => Number(row.querySelectorAll("[data-y]")[which].dataset.y))),
      seams: (table.dataset.seams || "").split(" ").filter(Boolean).map(Number),
      axis: table.dataset.axis || "numbers",
    };
  }

  // New windows as vertical lines.
  function seams(places) {
    return (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = colour("--seam");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
      for (const place of places) {
        const x = Math.round(plot.valToPos(place, "x", true)) + 0.5;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    };
  }

  function line(kind, name, data) {
    const bars = data.axis === "bars";
    const used = name === "used";
    const stroke = colour(used ? "--used" : "--endless");
    return {
      stroke,
      width: 2,
      dash: used || bars ? [] : [6, 4],
      fill: bars ? stroke : used ? colour("--used-soft") : undefined,
      paths: bars ? uPlot.paths.bars({ size: [0.36, 64], align: used ? -1 : 1, gap: 2 }) : undefined,
      points: { show: data.names.length < 15 && !bars, size: 5, fill: stroke },
    };
  }

  function options(data, width) {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const named = data.axis !== "numbers";
    const most = Math.max(2, Math.floor(width / 90));
    return {
      width,
      height: Math.max(180, Math.min(280, Math.round(width / 2.6))),
      legend: { show: false },
      cursor: { show: false },
      padding: [12, 14, 0, 0],
      scales: {
        x: { time: false, range: (_plot, low, high) => [low - (data.axis === "bars" ? 0.6 : 0.2), high + (data.axis === "bars" ? 0.6 : 0.2)] },
        y: { range: (_plot, _low, high) => [0, Math.max(high * 1.08, 10)] },
      },
      axes: [
        {
          ...axis,
          size: 30,
          grid: { show: false },
          incrs: [1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 100].filter((step) => data.names.length / step <= most || step === 100),
          values: (_plot, places) => places.map((place) => (named ? data.names[place - 1] || "" : place)),
        },
        { ...axis, size: 48, values: (_plot, values) => values.map((value) => short.format(value)) },
      ],
      series: [{}, line("used", "used", data), line("endless", "endless", data)],
      hooks: { drawAxes: [seams(data.seams)] },
    };
  }

  function draw(figure) {
    const table = document.getElementById(figure.dataset.chart);
    const place = figure.querySelector(".plot");
    const data = read(table);
    if (!data.names.length) return;
    place.hidden = false;
    place.replaceChildren();
    const numbers = data.names.map((_name, index) => index + 1);
    new uPlot(options(data, place.clientWidth), [numbers, ...data.series], place);
  }

  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const drawAll = () => figures.forEach(draw);
  let waiting;
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's bars come and go
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
})();
