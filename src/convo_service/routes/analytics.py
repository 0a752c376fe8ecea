"""Analytics: what is saved."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from convo_service import schemas
from convo_service.domain.savings import saving
from convo_service.routes.deps import DASHBOARD, ReadTx
from convo_service.services import savings
from convo_service.services.savings import Compared, Savings, Used, Wanted

router = APIRouter(prefix="/analytics", tags=["analytics"])


@router.get("/savings", dependencies=[DASHBOARD], summary="What windows save")
async def get_savings(query: Annotated[schemas.SavingsQuery, Query()], tx: ReadTx) -> schemas.Savings:
    """Windows against the users outside the rollout, and against one endless conversation for each user.

    Tokens and money are those of the ledger, one row for each call of a model. The endless conversation is estimated
    from the sizes of what was said; its prompt cache is taken to work as well as it can. Summaries count against us.
    """
    found = await savings.read(tx, Wanted(query.after, query.before, query.template, query.period))
    return savings_out(found, query)


def savings_out(found: Savings, query: schemas.SavingsQuery) -> schemas.Savings:
    """The figures of a period."""
    return schemas.Savings(
        after=query.after,
        before=query.before,
        window=schemas.CohortUsed(users=found.window_users, used=used_out(found.window)),
        holdout=schemas.CohortUsed(users=found.holdout_users, used=used_out(found.holdout)),
        against_holdout=schemas.AgainstHoldout(**{name: _compared(one) for name, one in found.against_holdout.items()}),
        against_baseline=baseline_out(found.window),
        **{
            name: [_group(*one) for one in getattr(found, name)]
            for name in ("by_history", "by_period", "by_template", "by_timeout")
        },
    )


def _group(name: str, used: Used) -> schemas.SavingsGroup:
    return schemas.SavingsGroup(name=name, used=used_out(used), against_baseline=baseline_out(used))


def used_out(used: Used) -> schemas.TokensUsed:
    """What was used."""
    named: dict[str, Any] = {
        name: getattr(used, name) for name in schemas.TokensUsed.model_fields if name != "cached_share"
    }
    share = used.cached_input_tokens / used.input_tokens if used.input_tokens else None
    return schemas.TokensUsed(**named, cached_share=share)


def baseline_out(used: Used) -> schemas.AgainstBaseline:
    """What was used, beside what one endless conversation would have used."""
    tokens, money = used.compared_input_tokens, used.compared_cost_usd
    return schemas.AgainstBaseline(
        input_tokens=tokens,
        baseline_input_tokens=used.baseline_input_tokens,
        baseline_cached_tokens=used.baseline_cached_tokens,
        saving=saving(tokens, used.baseline_input_tokens),
        saving_with_summaries=saving(tokens + used.summary_input_tokens, used.baseline_input_tokens),
        cost_usd=money,
        baseline_cost_usd=used.baseline_cost_usd,
        baseline_uncached_cost_usd=used.baseline_uncached_cost_usd,
        cost_saving=saving(money, used.baseline_cost_usd),
        cost_saving_with_summaries=saving(money + used.summary_cost_usd, used.baseline_cost_usd),
    )


def _compared(found: Compared) -> schemas.Comparison:
    return schemas.Comparison.model_validate(found)
